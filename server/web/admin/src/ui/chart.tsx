import {
  BarController,
  BarElement,
  CategoryScale,
  Chart as Drawing,
  Legend,
  LinearScale,
  LineController,
  LineElement,
  PointElement,
  Tooltip,
} from "chart.js";
import { useEffect, useRef, useState } from "preact/hooks";
import { formatCompact, formatNumber } from "../../../shared/format.ts";
import { useStore } from "../../../shared/store.ts";
import { appearance } from "../theme.ts";

Drawing.register(
  BarController,
  BarElement,
  CategoryScale,
  Legend,
  LinearScale,
  LineController,
  LineElement,
  PointElement,
  Tooltip,
);

export interface ChartSeries {
  name: string;
  // One of the page's colours for series, --series-0 and on.
  colour: 0 | 1 | 2 | 3 | 4 | 5 | 6;
  values: (number | null)[];
}

interface ChartProps {
  title: string;
  labels: string[];
  series: ChartSeries[];
  stacked?: boolean;
  lines?: boolean;
  format?: (value: number) => string;
}

// A chart, and the same as a table for whoever does not see it or wants the figures.
export function Chart({ title, labels, series, stacked, lines, format }: ChartProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [table, setTable] = useState(false);
  const look = useStore(appearance);
  const value = format ?? formatNumber;
  useEffect(() => {
    const element = canvas.current;
    if (!element || table) return;
    const style = getComputedStyle(element);
    const css = (name: string) => style.getPropertyValue(name).trim();
    const drawing = new Drawing(element, {
      type: lines ? "line" : "bar",
      data: {
        labels,
        datasets: series.map(({ name, colour, values }) => ({
          label: name,
          data: values,
          backgroundColor: css(`--series-${colour}`),
          borderColor: css(`--series-${colour}`),
          borderWidth: lines ? 2 : 0,
          pointRadius: labels.length > 60 ? 0 : 2,
          spanGaps: true,
          maxBarThickness: 24,
        })),
      },
      options: {
        animation: false,
        responsive: true,
        maintainAspectRatio: false,
        interaction: { mode: "index", intersect: false },
        scales: {
          x: {
            stacked: stacked ?? false,
            grid: { display: false },
            ticks: { color: css("--muted"), maxRotation: 0, autoSkipPadding: 12 },
          },
          y: {
            stacked: stacked ?? false,
            beginAtZero: true,
            grid: { color: css("--line") },
            border: { display: false },
            ticks: {
              color: css("--muted"),
              maxTicksLimit: 6,
              ...(format ? {} : { precision: 0 }),
              callback: (tick) => (format ?? formatCompact)(Number(tick)),
            },
          },
        },
        plugins: {
          legend: {
            display: series.length > 1,
            labels: { color: css("--text"), boxWidth: 12, boxHeight: 12 },
          },
          tooltip: {
            callbacks: {
              label: (item) => `${item.dataset.label}: ${value(Number(item.parsed.y))}`,
            },
          },
        },
      },
    });
    return () => drawing.destroy();
  }, [table, look, labels.join(), JSON.stringify(series), stacked, lines]);
  return (
    <section class="chart">
      <header>
        <h2>{title}</h2>
        <button
          type="button"
          class="link"
          aria-label={`${title}: ${table ? "as a chart" : "as a table"}`}
          onClick={() => setTable(!table)}
        >
          {table ? "Chart" : "Table"}
        </button>
      </header>
      {table ? (
        <div class="chart-table" tabIndex={0} role="region" aria-label={`${title}, table`}>
          <table>
            <caption class="hidden">{title}</caption>
            <thead>
              <tr>
                <th scope="col">Day</th>
                {series.map(({ name }) => (
                  <th key={name} scope="col" class="number">
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {labels.map((label, row) => (
                <tr key={label}>
                  <th scope="row">{label}</th>
                  {series.map(({ name, values }) => {
                    const cell = values[row];
                    return (
                      <td key={name} class="number">
                        {cell === null || cell === undefined ? "–" : value(cell)}
                      </td>
                    );
                  })}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      ) : (
        <div class="canvas">
          <canvas
            ref={canvas}
            role="img"
            aria-label={`${title}. The button Table shows its figures.`}
          />
        </div>
      )}
    </section>
  );
}
