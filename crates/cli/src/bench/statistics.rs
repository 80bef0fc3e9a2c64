//! What is told from measurements. Nothing here measures.

use fastrand::Rng;
use serde::Serialize;

/// What many measurements of one thing say, to the nanosecond.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    pub runs: usize,
    pub median_ms: f64,
    /// The median distance from the median.
    pub mad_ms: f64,
    pub min_ms: f64,
    pub max_ms: f64,
    /// A quarter of the measurements is below.
    pub lower_quartile_ms: f64,
    /// A quarter is above.
    pub upper_quartile_ms: f64,
    /// Measurements far from all others.
    pub outliers: usize,
}

/// How many times the baseline something is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ratio {
    /// That of the medians.
    pub ratio: f64,
    /// `None` of too few measurements.
    pub interval: Option<Interval>,
}

/// Where a ratio is, with a confidence of 95 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

/// A distance from the median of ten standard deviations, if the distribution were normal, in units
/// of the median distance.
const OUTLIER: f64 = 14.826;
/// Samples drawn for an interval.
const DRAWS: usize = 1000;
/// The fewest measurements between which their true median is with a confidence of 95 %: it is above all of n, or
/// below all, by a chance of 2 to the power of 1 - n.
const FEWEST: usize = 6;

impl Summary {
    /// `None` if nothing was measured.
    pub fn of(samples_ms: &[f64]) -> Option<Self> {
        let sorted = sorted(samples_ms);
        let (&min_ms, &max_ms) = (sorted.first()?, sorted.last()?);
        let median_ms = quantile(&sorted, 0.5);
        let distances: Vec<f64> = sorted.iter().map(|x| (x - median_ms).abs()).collect();
        let distances = self::sorted(&distances);
        let mad_ms = quantile(&distances, 0.5);
        // Of equal measurements a clock's tick would be one.
        let far = OUTLIER * mad_ms.max(median_ms * 0.01);
        let to_ns = |ms: f64| (ms * 1e6).round() / 1e6;
        Some(Summary {
            runs: sorted.len(),
            median_ms: to_ns(median_ms),
            mad_ms: to_ns(mad_ms),
            min_ms: to_ns(min_ms),
            max_ms: to_ns(max_ms),
            lower_quartile_ms: to_ns(quantile(&sorted, 0.25)),
            upper_quartile_ms: to_ns(quantile(&sorted, 0.75)),
            outliers: distances.iter().filter(|distance| **distance > far).count(),
        })
    }
}

impl Ratio {
    /// The ratio of the medians of `samples` and `baseline`, with an interval by the bootstrap if both have
    /// enough. `None` if either has none, or the baseline took no time.
    pub fn of(samples: &[f64], baseline: &[f64]) -> Option<Self> {
        // The order of measurements is no part of the result, nor is chance.
        let (samples, baseline) = (sorted(samples), sorted(baseline));
        if samples.is_empty() || baseline.is_empty() || quantile(&baseline, 0.5) <= 0.0 {
            return None;
        }
        let ratio = quantile(&samples, 0.5) / quantile(&baseline, 0.5);
        let enough = samples.len().min(baseline.len()) >= FEWEST;
        let interval = enough.then(|| Interval::around(ratio, &samples, &baseline));
        Some(Ratio {
            ratio,
            interval: interval.flatten(),
        })
    }

    /// Whether there is a difference, if that can be told.
    pub fn is_significant(&self) -> Option<bool> {
        let Interval { low, high } = self.interval?;
        Some(low > 1.0 || high < 1.0)
    }
}

impl Interval {
    fn around(ratio: f64, samples: &[f64], baseline: &[f64]) -> Option<Self> {
        let mut rng = Rng::with_seed(samples.len() as u64 ^ ((baseline.len() as u64) << 32));
        let mut ratios: Vec<f64> = (0..DRAWS)
            .map(|_| drawn_median(samples, &mut rng) / drawn_median(baseline, &mut rng))
            .filter(|ratio| ratio.is_finite())
            .collect();
        ratios.sort_by(f64::total_cmp);
        (!ratios.is_empty()).then(|| Interval {
            low: quantile(&ratios, 0.025).min(ratio),
            high: quantile(&ratios, 0.975).max(ratio),
        })
    }
}

/// The median of as many samples, drawn with replacement.
fn drawn_median(sorted: &[f64], rng: &mut Rng) -> f64 {
    let mut drawn: Vec<f64> = (0..sorted.len())
        .map(|_| sorted[rng.usize(..sorted.len())])
        .collect();
    drawn.sort_by(f64::total_cmp);
    quantile(&drawn, 0.5)
}

fn sorted(samples: &[f64]) -> Vec<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The value below which that part of `sorted` is, between two neighbours in proportion. 0 of
/// nothing.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let place = part.clamp(0.0, 1.0) * last as f64;
    let (below, above) = (
        sorted[place.floor() as usize],
        sorted[place.ceil() as usize],
    );
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn times() -> impl Strategy<Value = Vec<f64>> {
        vec(0.001..1000.0_f64, 1..40)
    }

    #[test]
    fn a_summary_of_known_numbers() {
        let summary = Summary::of(&[5.0, 1.0, 2.0, 4.0, 3.0]).expect("five numbers");
        assert_eq!((summary.median_ms, summary.mad_ms), (3.0, 1.0));
        assert_eq!((summary.min_ms, summary.max_ms), (1.0, 5.0));
        assert_eq!(
            (summary.lower_quartile_ms, summary.upper_quartile_ms),
            (2.0, 4.0)
        );
        assert_eq!(summary.outliers, 0);
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn what_is_far_from_the_rest_is_an_outlier() {
        let mut samples = vec![10.0, 10.1, 9.9, 10.2, 9.8, 10.0, 10.1];
        samples.push(30.0);
        assert_eq!(Summary::of(&samples).expect("samples").outliers, 1);
        // Equal measurements, but for a tick of the clock.
        assert_eq!(
            Summary::of(&[1.0, 1.0, 1.0, 1.001])
                .expect("samples")
                .outliers,
            0
        );
    }

    #[test]
    fn a_clear_difference_is_significant_and_none_is_not() {
        let base: Vec<f64> = (0..30).map(|i| 10.0 + f64::from(i % 7) * 0.1).collect();
        let double: Vec<f64> = base.iter().map(|x| x * 2.0).collect();
        let ratio = Ratio::of(&double, &base).expect("a ratio");
        assert_eq!(ratio.is_significant(), Some(true));
        let interval = ratio.interval.expect("enough");
        assert!(interval.low < 2.0 && interval.high > 2.0 - 1e-9);
        assert!((ratio.ratio - 2.0).abs() < 1e-9);
        let other: Vec<f64> = base.iter().map(|x| x + 0.01).collect();
        let ratio = Ratio::of(&other, &base).expect("a ratio");
        assert_eq!(ratio.is_significant(), Some(false));
        // Chance alone may put a few measurements all above others.
        let ratio = Ratio::of(&double[..5], &base).expect("a ratio");
        assert_eq!(ratio.is_significant(), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn the_order_of_measurements_does_not_matter(
            (samples, shuffled) in times().prop_flat_map(|t| (Just(t.clone()), Just(t).prop_shuffle())),
            baseline in times(),
        ) {
            prop_assert_eq!(Summary::of(&samples), Summary::of(&shuffled));
            prop_assert_eq!(Ratio::of(&samples, &baseline), Ratio::of(&shuffled, &baseline));
        }

        #[test]
        fn nothing_differs_from_itself(samples in times()) {
            let ratio = Ratio::of(&samples, &samples).expect("a ratio");
            prop_assert_eq!(ratio.ratio, 1.0);
            prop_assert_ne!(ratio.is_significant(), Some(true));
        }

        #[test]
        fn a_ratio_is_within_its_interval_and_that_within_the_measurements(
            (samples, baseline) in (times(), times()),
        ) {
            let ratio = Ratio::of(&samples, &baseline).expect("a ratio");
            let enough = samples.len().min(baseline.len()) >= FEWEST;
            prop_assert_eq!(ratio.interval.is_some(), enough);
            if let Some(Interval { low, high }) = ratio.interval {
                prop_assert!(low <= ratio.ratio && ratio.ratio <= high);
                let (own, base) = (sorted(&samples), sorted(&baseline));
                prop_assert!(high <= own[own.len() - 1] / base[0] * (1.0 + 1e-9));
                prop_assert!(low >= own[0] / base[base.len() - 1] * (1.0 - 1e-9));
            }
        }

        #[test]
        fn a_summary_is_in_order(samples in times()) {
            let summary = Summary::of(&samples).expect("samples");
            let order = [
                summary.min_ms,
                summary.lower_quartile_ms,
                summary.median_ms,
                summary.upper_quartile_ms,
                summary.max_ms,
            ];
            prop_assert!(order.is_sorted());
            prop_assert!(summary.outliers * 2 <= summary.runs);
        }

        #[test]
        fn in_another_unit_all_is_the_same((samples, baseline) in (times(), times())) {
            let scaled = |times: &[f64]| times.iter().map(|x| x * 1024.0).collect::<Vec<_>>();
            let one = Ratio::of(&samples, &baseline);
            prop_assert_eq!(one, Ratio::of(&scaled(&samples), &scaled(&baseline)));
        }
    }
}
