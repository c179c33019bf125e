//! A recorder that keeps every value it ever got, in order, and panics when it is told to.

use std::collections::BTreeMap;
use std::sync::Arc;

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use parking_lot::Mutex;

/// Cheap to clone; every clone is the same.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    described: BTreeMap<String, Described>,
    values: BTreeMap<String, Vec<f64>>,
    panics_at: Option<&'static str>,
}

/// What a recorder knows of a name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Described {
    pub(crate) kind: &'static str,
    pub(crate) unit: String,
    pub(crate) help: String,
}

impl Seen {
    /// All values of `name{label="value",…}`, with the labels in the order of their names.
    pub(crate) fn all(&self, key: &str) -> Vec<f64> {
        self.inner.lock().values.get(key).cloned().unwrap_or_default()
    }

    /// The last value; NaN, which equals nothing, if there is none.
    pub(crate) fn last(&self, key: &str) -> f64 {
        self.all(key).last().copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.inner.lock().values.keys().cloned().collect()
    }

    pub(crate) fn described(&self) -> BTreeMap<String, Described> {
        self.inner.lock().described.clone()
    }

    /// Panics whenever it gets a value of this name from now on; never, with `None`.
    pub(crate) fn panic_at(&self, name: Option<&'static str>) {
        self.inner.lock().panics_at = name;
    }

    fn describe(&self, key: &KeyName, kind: &'static str, unit: Option<Unit>, help: SharedString) {
        let unit = unit.map_or("", |unit| unit.as_str()).to_owned();
        let described = Described { kind, unit, help: help.into_owned() };
        self.inner.lock().described.insert(key.as_str().to_owned(), described);
    }

    fn series(&self, key: &Key) -> Arc<Series> {
        let panics = self.inner.lock().panics_at == Some(key.name());
        assert!(!panics, "no room for {}", key.name());
        let mut labels: Vec<String> =
            key.labels().map(|label| format!("{}={:?}", label.key(), label.value())).collect();
        labels.sort();
        Arc::new(Series { seen: self.clone(), key: format!("{}{{{}}}", key.name(), labels.join(",")) })
    }
}

struct Series {
    seen: Seen,
    key: String,
}

impl Series {
    fn push(&self, value: f64) {
        self.seen.inner.lock().values.entry(self.key.clone()).or_default().push(value);
    }
}

impl CounterFn for Series {
    fn increment(&self, _value: u64) {
        unreachable!("counters are set");
    }

    fn absolute(&self, value: u64) {
        self.push(u32::try_from(value).expect("a test counts no further").into());
    }
}

impl GaugeFn for Series {
    fn increment(&self, _value: f64) {
        unreachable!("gauges are set");
    }

    fn decrement(&self, _value: f64) {
        unreachable!("gauges are set");
    }

    fn set(&self, value: f64) {
        self.push(value);
    }
}

impl Recorder for Seen {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, help: SharedString) {
        self.describe(&key, "counter", unit, help);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, help: SharedString) {
        self.describe(&key, "gauge", unit, help);
    }

    fn describe_histogram(&self, _key: KeyName, _unit: Option<Unit>, _help: SharedString) {
        unreachable!("there are no histograms");
    }

    fn register_counter(&self, key: &Key, _metadata: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.series(key))
    }

    fn register_gauge(&self, key: &Key, _metadata: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.series(key))
    }

    fn register_histogram(&self, _key: &Key, _metadata: &Metadata<'_>) -> Histogram {
        unreachable!("there are no histograms");
    }
}
