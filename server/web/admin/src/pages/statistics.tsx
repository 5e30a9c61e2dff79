import { useEffect, useState } from "preact/hooks";
import {
  dayOf,
  formatDuration,
  formatMoney,
  formatNumber,
  formatUtcDay,
} from "../../../shared/format.ts";
import { get } from "../api/client.ts";
import type { Prices, Statistics as Answer, StatisticsDay } from "../api/types.ts";
import { href, navigate, useUrl, withQuery } from "../router.ts";
import { Chart, type ChartSeries } from "../ui/chart.tsx";
import { LoadedPart, Page } from "../ui/basics.tsx";
import { useData } from "../ui/data.ts";

export function costOf(day: StatisticsDay, prices: Prices): number {
  return (
    ((day.prompt_tokens - day.cached_tokens) * prices.input +
      day.cached_tokens * prices.cached +
      (day.output_tokens + day.thought_tokens) * prices.output) /
    1e6
  );
}

const total = (days: StatisticsDay[], of: (day: StatisticsDay) => number) =>
  days.reduce((sum, day) => sum + of(day), 0);

const daysAgo = (days: number) => dayOf(new Date(Date.now() - days * 86_400_000));

export function Statistics() {
  const { query } = useUrl();
  const from = query.get("from");
  const to = query.get("to");
  const answer = useData(`statistics ${from} ${to}`, (signal) =>
    get<Answer>("statistics/", { from, to }, signal),
  );
  return (
    <Page wide title="Statistics" crumbs={[{ text: "Statistics" }]}>
      <Range from={from ?? ""} to={to ?? ""} />
      <LoadedPart of={answer}>{(data) => <Charts {...data} />}</LoadedPart>
    </Page>
  );
}

function Range({ from, to }: { from: string; to: string }) {
  const [range, setRange] = useState({ from, to });
  useEffect(() => setRange({ from, to }), [from, to]);
  const choices = [
    { text: "7 days", from: daysAgo(6) },
    { text: "30 days", from: null },
    { text: "90 days", from: daysAgo(89) },
    { text: "365 days", from: daysAgo(364) },
  ];
  return (
    <form
      class="range bar"
      aria-label="Days"
      onSubmit={(event) => {
        event.preventDefault();
        navigate(withQuery(range));
      }}
    >
      {choices.map((choice) => (
        <a
          key={choice.text}
          class="chip"
          href={href(withQuery({ from: choice.from, to: choice.from && dayOf(new Date()) }))}
          aria-current={(choice.from ?? "") === from ? "true" : undefined}
        >
          {choice.text}
        </a>
      ))}
      <label>
        From
        <input
          type="date"
          value={range.from}
          onInput={(event) => setRange({ ...range, from: event.currentTarget.value })}
        />
      </label>
      <label>
        to
        <input
          type="date"
          value={range.to}
          onInput={(event) => setRange({ ...range, to: event.currentTarget.value })}
        />
      </label>
      <button type="submit">Show</button>
      <span class="help">Days are UTC; at most 366.</span>
    </form>
  );
}

interface Figure {
  text: string;
  value: string;
}

function Charts({ days, prices }: Answer) {
  const labels = days.map(({ day }) => formatUtcDay(day));
  const series = (
    name: string,
    colour: ChartSeries["colour"],
    of: (day: StatisticsDay) => number | null,
  ): ChartSeries => ({ name, colour, values: days.map(of) });
  const latency = (which: "p50" | "p90" | "p99") => (day: StatisticsDay) =>
    day.latency_ms ? day.latency_ms[which] : null;
  const failed = total(days, (day) => day.failed + day.empty + day.interrupted + day.cancelled);
  const turns = total(days, (day) => day.turns);
  const liked = total(days, (day) => day.liked);
  const judged = liked + total(days, (day) => day.disliked);
  const share = (count: number, of: number) =>
    of === 0 ? "–" : `${formatNumber(Math.round((count / of) * 1000) / 10)} %`;
  const figures: Figure[] = [
    { text: "sessions", value: formatNumber(total(days, (day) => day.sessions)) },
    { text: "messages", value: formatNumber(total(days, (day) => day.messages)) },
    { text: "leads", value: formatNumber(total(days, (day) => day.leads)) },
    {
      text: "of questions unanswered",
      value: share(failed, turns),
    },
    { text: "of thumbs are up", value: share(liked, judged) },
    {
      text: "tokens",
      value: formatNumber(
        total(days, (day) => day.prompt_tokens + day.output_tokens + day.thought_tokens),
      ),
    },
    ...(prices
      ? [
          {
            text: "estimated cost",
            value: formatMoney(
              total(days, (day) => costOf(day, prices)),
              prices.currency,
            ),
          },
        ]
      : []),
  ];
  return (
    <>
      <dl class="figures">
        {figures.map(({ text, value }) => (
          <div key={text}>
            <dt>{text}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <div class="charts">
        <Funnel days={days} />
        <Chart
          title="Sessions and leads"
          labels={labels}
          series={[
            series("Sessions", 0, (day) => day.sessions),
            series("Leads", 1, (day) => day.leads),
          ]}
        />
        <Chart
          title="Messages"
          labels={labels}
          stacked
          series={[
            series("Visitors", 0, (day) => day.visitor_messages),
            series("Bot", 2, (day) => day.messages - day.visitor_messages),
          ]}
        />
        <Chart
          title="Questions without a good answer"
          labels={labels}
          stacked
          series={[
            series("Failed", 3, (day) => day.failed),
            series("Empty", 4, (day) => day.empty),
            series("Interrupted", 5, (day) => day.interrupted),
            series("Cancelled", 6, (day) => day.cancelled),
            series("Blocked", 1, (day) => day.blocked),
            series("Cut", 2, (day) => day.truncated),
          ]}
        />
        <Chart
          title="Thumbs up and down"
          labels={labels}
          stacked
          series={[series("Up", 0, (day) => day.liked), series("Down", 3, (day) => day.disliked)]}
        />
        <Chart
          title="Tokens"
          labels={labels}
          stacked
          series={[
            series("Prompt, not cached", 0, (day) => day.prompt_tokens - day.cached_tokens),
            series("Prompt, cached", 2, (day) => day.cached_tokens),
            series("Answers", 1, (day) => day.output_tokens),
            series("Thoughts", 5, (day) => day.thought_tokens),
          ]}
        />
        {prices ? (
          <Chart
            title={`Estimated cost (${prices.currency})`}
            labels={labels}
            format={(value) => formatMoney(value, prices.currency)}
            series={[series("Cost", 1, (day) => costOf(day, prices))]}
          />
        ) : (
          <section class="chart">
            <h2>Estimated cost</h2>
            <p class="empty">No prices of tokens are set on this server.</p>
          </section>
        )}
        <Chart
          title="Time to the answer"
          labels={labels}
          lines
          format={formatDuration}
          series={[
            series("Half within", 0, latency("p50")),
            series("90 % within", 1, latency("p90")),
            series("99 % within", 3, latency("p99")),
          ]}
        />
      </div>
    </>
  );
}

// Of the sessions that were opened in these days.
function Funnel({ days }: { days: StatisticsDay[] }) {
  const opened = total(days, (day) => day.sessions);
  const steps = [
    { text: "Opened a chat", count: opened },
    { text: "Asked something", count: total(days, (day) => day.asked) },
    { text: "Left their details", count: total(days, (day) => day.leads) },
  ];
  return (
    <section class="chart funnel">
      <h2>From opening to leaving details</h2>
      <table>
        <caption class="hidden">Funnel</caption>
        <tbody>
          {steps.map(({ text, count }) => {
            const share = opened === 0 ? 0 : count / opened;
            return (
              <tr key={text}>
                <th scope="row">{text}</th>
                <td class="share">
                  <div aria-hidden="true" style={{ width: `${share * 100}%` }} />
                </td>
                <td class="number">{formatNumber(count)}</td>
                <td class="number">
                  {opened === 0 ? "–" : `${formatNumber(Math.round(share * 100))} %`}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}
