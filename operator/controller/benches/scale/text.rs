//! Prometheus text.

use std::collections::BTreeMap;

/// One sample of a metric.
pub(crate) struct Sample<'a> {
    labels: &'a str,
    /// Its value, which counts.
    pub(crate) value: u64,
}

impl<'a> Sample<'a> {
    /// Value of a label; empty when the sample has none of this name. Values with quotes are cut.
    pub(crate) fn label(&self, name: &str) -> &'a str {
        let pairs = self.labels.split(',');
        let mut named = pairs.filter_map(|pair| pair.split_once('='));
        named
            .find(|(key, _)| *key == name)
            .map_or("", |(_, value)| value.trim_matches('"'))
    }
}

/// The samples of a counter.
pub(crate) fn samples<'a>(text: &'a str, metric: &str) -> impl Iterator<Item = Sample<'a>> {
    text.lines().filter_map(move |line| {
        let (labels, value) = line.strip_prefix(metric)?.rsplit_once(' ')?;
        let labels = match labels {
            "" => "",
            _ => labels.strip_prefix('{')?.strip_suffix('}')?,
        };
        // Counters are whole numbers below 2^52, printed as floats when they are large.
        let value = value.parse::<f64>().ok()? as u64;
        Some(Sample { labels, value })
    })
}

/// What was counted between two moments, by key.
pub(crate) fn since(
    before: &BTreeMap<String, u64>,
    after: &BTreeMap<String, u64>,
) -> BTreeMap<String, u64> {
    after
        .iter()
        .map(|(key, count)| {
            let earlier = before.get(key).copied().unwrap_or_default();
            (key.clone(), count.saturating_sub(earlier))
        })
        .filter(|(_, count)| *count > 0)
        .collect()
}
