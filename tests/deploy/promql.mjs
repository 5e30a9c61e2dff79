// What a PromQL expression asks for.
import { parser } from '@prometheus-io/lezer-promql';

// Grafana puts these in; the parser does not know them.
const filled = (text) =>
  text.replaceAll('$__rate_interval', '5m').replaceAll('$__range', '1h').replaceAll('$instance', '.*');

// [{metric, labels: [label...], matchers: [[label, operator, value]...]}], one for every selector,
// the labels of the aggregations around it among its labels. Throws when it is not PromQL.
export function selectorsOf(expression) {
  const text = filled(expression);
  const tree = parser.parse(text);
  const found = [];
  const of = (node) => text.slice(node.from, node.to);
  tree.iterate({
    enter(node) {
      if (node.type.isError) {
        throw new Error(`no PromQL at ${node.from}: ${text}`);
      }
      if (node.name !== 'VectorSelector') return undefined;
      const selector = { metric: '', labels: [], matchers: [] };
      node.node.cursor().iterate((part) => {
        if (part.name === 'Identifier' && !selector.metric) selector.metric = of(part);
        if (part.name === 'UnquotedLabelMatcher') {
          const [, label, operator, value] = /^\s*(\w+)\s*(=~|!~|!=|=)\s*"(.*)"\s*$/s.exec(of(part));
          selector.matchers.push([label, operator, value]);
          selector.labels.push(label);
        }
      });
      for (let outer = node.node.parent; outer; outer = outer.parent) {
        if (outer.name !== 'AggregateExpr') continue;
        for (const label of outer.getChild('AggregateModifier')?.getChild('GroupingLabels')
          ?.getChildren('LabelName') ?? []) {
          selector.labels.push(of(label));
        }
        break;
      }
      found.push(selector);
      return false;
    },
  });
  return found;
}
