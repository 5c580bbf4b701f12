//! Randomness: the [`Random`] seam. Nothing else asks the system for random bytes (held by
//! `.clippy.toml`), so that a test can repeat what it saw.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom as RingRandom};

/// Where random bytes come from.
pub trait Random: Send + Sync + fmt::Debug {
    /// Fills `bytes` with bytes that nobody can predict.
    fn fill(&self, bytes: &mut [u8]);
}

/// 256 random bits as 43 characters of unpadded base64url: states, links, codes, API keys.
pub fn token(random: &dyn Random) -> String {
    let mut bytes = [0_u8; 32];
    random.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The operating system's generator.
#[derive(Debug)]
pub struct SystemRandom(RingRandom);

impl SystemRandom {
    /// The system's generator.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place the system generator is made"
    )]
    pub fn new() -> Self {
        Self(RingRandom::new())
    }
}

impl Default for SystemRandom {
    fn default() -> Self {
        Self::new()
    }
}

impl Random for SystemRandom {
    #[expect(
        clippy::expect_used,
        reason = "without randomness no secret may be made at all"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        self.0
            .fill(bytes)
            .expect("the operating system gives random bytes");
    }
}

/// A repeatable stream: SHA-256 over seed and counter. For tests only.
#[derive(Debug)]
pub struct SeededRandom {
    seed: u64,
    counter: AtomicU64,
}

impl SeededRandom {
    /// The stream of this seed, from its start.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            counter: AtomicU64::new(0),
        }
    }
}

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(digest::SHA256_OUTPUT_LEN) {
            let counter = self.counter.fetch_add(1, Ordering::Relaxed);
            let mut input = [0_u8; 16];
            input[..8].copy_from_slice(&self.seed.to_be_bytes());
            input[8..].copy_from_slice(&counter.to_be_bytes());
            let block = digest::digest(&digest::SHA256, &input);
            chunk.copy_from_slice(&block.as_ref()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_stream() {
        let tokens = |seed| {
            let random = SeededRandom::new(seed);
            (token(&random), token(&random))
        };

        assert_eq!(tokens(7), tokens(7));
        assert_ne!(tokens(7), tokens(8));
        assert_ne!(tokens(7).0, tokens(7).1);
    }
}
