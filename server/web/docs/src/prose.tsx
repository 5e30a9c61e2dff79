import { Fragment } from "preact";

const marks = /(`[^`]+`|\*\*[^*]+\*\*|\*[^*]+\*)/;

// The little of Markdown that the document's sentences use: code, strong, emphasis, paragraphs.
export function Prose({ text }: { text: string }) {
  return (
    <>
      {text.split("\n\n").map((paragraph, index) => (
        <p key={index}>
          {paragraph.split(marks).map((piece, at) => (
            <Fragment key={at}>{marked(piece)}</Fragment>
          ))}
        </p>
      ))}
    </>
  );
}

function marked(piece: string) {
  if (/^`.+`$/s.test(piece)) return <code>{piece.slice(1, -1)}</code>;
  if (/^\*\*.+\*\*$/s.test(piece)) return <strong>{piece.slice(2, -2)}</strong>;
  if (/^\*.+\*$/s.test(piece)) return <em>{piece.slice(1, -1)}</em>;
  return piece;
}
