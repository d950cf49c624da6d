//! A small seeded generator, so that a run can be taken again: SplitMix64.

/// The generator; the same seed gives the same numbers on every machine.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator of its own sequence.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Uniform in 0 ≤ x < 1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in 0 ≤ n < `bound`; 0 where `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.unit() * bound as f64) as usize
    }

    /// Exponential with mean 1: the gaps of a Poisson process.
    pub fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }

    /// Normal with mean 0 and deviation 1 (Box-Muller).
    pub fn normal(&mut self) -> f64 {
        (2.0 * self.exponential()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Poisson with the given mean; by its normal approximation above 64, where the two cannot be
    /// told apart for a bootstrap's purpose.
    pub fn poisson(&mut self, mean: f64) -> f64 {
        if mean > 64.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0);
        }
        let (floor, mut product, mut count) = ((-mean).exp(), self.unit(), 0.0);
        while product > floor {
            product *= self.unit();
            count += 1.0;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(draw: impl FnMut() -> f64) -> f64 {
        std::iter::repeat_with(draw).take(20_000).sum::<f64>() / 20_000.0
    }

    #[test]
    fn the_draws_have_the_means_they_claim() {
        let mut random = Random::new(7);
        assert!((mean(|| random.exponential()) - 1.0).abs() < 0.03);
        assert!(mean(|| random.normal()).abs() < 0.03);
        assert!((mean(|| random.poisson(3.0)) - 3.0).abs() < 0.06);
        assert!((mean(|| random.poisson(1000.0)) - 1000.0).abs() < 1.0);
        assert!((mean(|| random.below(10) as f64) - 4.5).abs() < 0.1);
    }

    #[test]
    fn a_seed_gives_the_same_numbers_again() {
        let draw = |seed| (0..8).map(|_| Random::new(seed).bits()).collect::<Vec<_>>();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
