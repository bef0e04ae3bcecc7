//! Registers metrics with a recorder of their own and renders them. Knows no metric's name.

use metrics::{Counter, Gauge, Histogram, Key, Label as KeyLabel, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::labels::{Family, Label};
use super::process;
use super::readings::Readings;

/// The metrics as text.
#[derive(Clone)]
pub struct MetricsPage(PrometheusHandle);

/// Takes each metric's name and help once and gives out its handle.
pub(super) struct Registrar(PrometheusRecorder);

impl MetricsPage {
    /// The content type of what `render` gives.
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// All metrics in the Prometheus text format 0.0.4, those of the process too.
    pub fn render(&self) -> String {
        let mut page = self.0.render();
        process::write(&mut page);
        page
    }

    /// What the broker's counters and gauges stand at now. Renders everything: for every few seconds.
    pub fn read(&self) -> Readings {
        Readings::parse(&self.0.render())
    }

    /// Takes the samples of the histograms in; they pile up until somebody renders or calls this, so call it every few
    /// seconds.
    pub fn run_upkeep(&self) {
        self.0.run_upkeep();
    }
}

impl Registrar {
    /// `buckets`: the upper bounds of each histogram by its name.
    pub(super) fn new(buckets: &[(&str, &[f64])]) -> Self {
        let builder = buckets
            .iter()
            .fold(PrometheusBuilder::new(), |builder, (name, bounds)| {
                let matcher = Matcher::Full((*name).to_owned());
                builder
                    .set_buckets_for_metric(matcher, bounds)
                    .expect("each histogram names its bounds")
            });
        Self(builder.build_recorder())
    }

    pub(super) fn counter(&self, name: &'static str, help: &'static str) -> Counter {
        self.0.describe_counter(name.into(), None, help.into());
        self.0.register_counter(&Key::from_static_name(name), &METADATA)
    }

    pub(super) fn family<L: Label>(&self, name: &'static str, help: &'static str) -> Family<L> {
        self.0.describe_counter(name.into(), None, help.into());
        Family::new(|text| self.0.register_counter(&key::<L>(name, text), &METADATA))
    }

    pub(super) fn gauges<L: Label>(&self, name: &'static str, help: &'static str) -> Family<L, Gauge> {
        self.0.describe_gauge(name.into(), None, help.into());
        Family::new(|text| self.0.register_gauge(&key::<L>(name, text), &METADATA))
    }

    pub(super) fn histograms<L: Label>(&self, name: &'static str, help: &'static str) -> Family<L, Histogram> {
        self.0.describe_histogram(name.into(), None, help.into());
        Family::new(|text| self.0.register_histogram(&key::<L>(name, text), &METADATA))
    }

    pub(super) fn gauge(&self, name: &'static str, help: &'static str) -> Gauge {
        self.labelled_gauge(name, help, &[])
    }

    pub(super) fn labelled_gauge(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
    ) -> Gauge {
        self.0.describe_gauge(name.into(), None, help.into());
        let labels: Vec<_> = labels
            .iter()
            .map(|(name, text)| KeyLabel::new(*name, (*text).to_owned()))
            .collect();
        self.0.register_gauge(&Key::from_parts(name, labels), &METADATA)
    }

    pub(super) fn histogram(&self, name: &'static str, help: &'static str) -> Histogram {
        self.0.describe_histogram(name.into(), None, help.into());
        self.0.register_histogram(&Key::from_static_name(name), &METADATA)
    }

    pub(super) fn page(&self) -> MetricsPage {
        MetricsPage(self.0.handle())
    }
}

fn key<L: Label>(name: &'static str, text: &'static str) -> Key {
    Key::from_parts(name, vec![KeyLabel::from_static_parts(L::NAME, text)])
}

const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);
