//! The values of counters and gauges at one moment, by name. Reads the page: handles only count.

use std::collections::HashMap;

/// What all metrics stood at.
#[derive(Clone, Debug, Default)]
pub struct Readings(HashMap<String, f64>);

impl Readings {
    /// Reads a page in the Prometheus text format.
    pub(super) fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let values = lines.filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Self(values.collect())
    }

    /// A metric without labels, by its name without `rewindmq_`; 0 if there is none.
    pub fn value(&self, name: &str) -> f64 {
        self.0.get(&format!("rewindmq_{name}")).copied().unwrap_or(0.0)
    }

    /// One value of a label.
    pub fn labelled(&self, name: &str, label: &str, text: &str) -> f64 {
        self.value(&format!("{name}{{{label}=\"{text}\"}}"))
    }

    /// All values of a metric's label together.
    pub fn sum(&self, name: &str) -> f64 {
        let start = format!("rewindmq_{name}{{");
        let of_name = self.0.iter().filter(|(key, _)| key.starts_with(&start));
        of_name.map(|(_, value)| value).sum()
    }
}
