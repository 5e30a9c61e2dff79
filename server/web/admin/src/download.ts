// Hands the browser a file to save.
export function saveFile(content: Blob, name: string): void {
  const address = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  // The browser may begin to read only after this.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

// The name that the server gave the file.
export function fileName(response: Response, otherwise: string): string {
  const said = /filename="?([\w.-]+)"?/.exec(response.headers.get("Content-Disposition") ?? "");
  return said?.[1] ?? otherwise;
}
