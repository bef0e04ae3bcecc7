//! Random numbers that a failing test can be run with again: the seed is printed, and `TEST_SEED` sets it.

use std::io::{self, Write};

/// A source of random numbers; tells its seed if the test fails.
pub struct Seed {
    variable: &'static str,
    seed: u64,
    pub random: fastrand::Rng,
}

impl Seed {
    pub fn new() -> Self {
        Self::named("TEST_SEED")
    }

    /// The same, with the environment variable that sets it.
    pub fn named(variable: &'static str) -> Self {
        let given = std::env::var(variable).ok().and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(|| fastrand::u64(..));
        Self {
            variable,
            seed,
            random: fastrand::Rng::with_seed(seed),
        }
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The test has failed already; there is nobody to tell if this does too.
            let _ = writeln!(io::stderr(), "run it again with {}={}", self.variable, self.seed);
        }
    }
}
