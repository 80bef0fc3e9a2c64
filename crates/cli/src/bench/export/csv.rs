//! One line for each thing measured on each engine.

use serde::Serialize;

use crate::bench::results::{Results, Series, Subject};
use crate::bench::statistics::Summary;

#[derive(Serialize)]
struct Line<'a> {
    engine: &'a str,
    subject: Subject,
    runs: usize,
    median_ms: f64,
    mad_ms: f64,
    min_ms: f64,
    max_ms: f64,
    lower_quartile_ms: f64,
    upper_quartile_ms: f64,
    outliers: usize,
    ratio: Option<f64>,
    ratio_low: Option<f64>,
    ratio_high: Option<f64>,
    significant: Option<bool>,
    max_rss: Option<u64>,
    guest_memory: Option<u64>,
}

pub fn csv(results: &Results) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for series in &results.series {
        // Neither memory nor these values can fail to be written.
        let _ = writer.serialize(line(results, series));
    }
    let bytes = writer.into_inner().unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn line<'a>(results: &Results, series: &'a Series) -> Line<'a> {
    let Summary {
        runs,
        median_ms,
        mad_ms,
        min_ms,
        max_ms,
        lower_quartile_ms,
        upper_quartile_ms,
        outliers,
    } = series.summary;
    let engine = results
        .engines
        .iter()
        .find(|engine| engine.info.name == series.engine);
    let interval = series.to_fastest.and_then(|ratio| ratio.interval);
    Line {
        engine: &series.engine,
        subject: series.subject,
        runs,
        median_ms,
        mad_ms,
        min_ms,
        max_ms,
        lower_quartile_ms,
        upper_quartile_ms,
        outliers,
        ratio: series.to_fastest.map(|ratio| ratio.ratio),
        ratio_low: interval.map(|interval| interval.low),
        ratio_high: interval.map(|interval| interval.high),
        significant: series.significant,
        max_rss: series.max_rss,
        guest_memory: engine.and_then(|engine| engine.guest_memory),
    }
}
