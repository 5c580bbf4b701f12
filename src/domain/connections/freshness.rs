//! Freshness: how long a credential must still live to be handed out, and how long to wait before
//! trying again.

use std::time::Duration;

use super::super::profiles::Profile;
use super::super::time::Timestamp;
use super::{AHEAD, Lifecycle};

/// The deployment's choices about renewing, and the provider's ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// A credential that ends sooner than this is renewed before it is handed out.
    pub margin: Duration,
    /// How long a lease lasts; longer than a redemption with its write may take.
    pub lease: Duration,
    /// The first pause after a passing failure.
    pub backoff: Duration,
    /// The longest pause.
    pub max_backoff: Duration,
    /// What is known of the grant's provider.
    pub provider: Profile,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            margin: Duration::from_mins(1),
            lease: Duration::from_mins(1),
            backoff: Duration::from_secs(2),
            max_backoff: Duration::from_mins(5),
            provider: Profile::default(),
        }
    }
}

/// A credential this young is handed out as it is: renewing it again would gain nothing.
pub(super) const YOUNG: Duration = Duration::from_secs(30);

/// What a credential is at a point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Lives as long as asked for, or as long as it can.
    Fresh,
    /// Lives, but shorter than asked for.
    Short,
    /// Ended, or rejected by the upstream.
    Over,
}

impl Freshness {
    /// Judges a credential. What is asked for (at least the policy's margin) is cut to 75 % of
    /// the credential's observed lifetime, so that a short-lived one is not renewed on every read;
    /// an unknown lifetime is taken as long enough until the upstream says otherwise. [`AHEAD`] is
    /// more than any can live.
    pub fn of(life: &Lifecycle, now: Timestamp, min_valid_for: Duration, policy: &Policy) -> Self {
        if life.rejected {
            return Self::Over;
        }
        let young = now >= life.obtained_at && now.since(life.obtained_at) < YOUNG;
        let ahead = min_valid_for == AHEAD && !young;
        let Some(expires_at) = life.expires_at else {
            return if ahead { Self::Short } else { Self::Fresh };
        };
        if now >= expires_at {
            return Self::Over;
        }
        if ahead {
            return Self::Short;
        }
        let lifetime = expires_at.since(life.obtained_at);
        let asked = min_valid_for.max(policy.margin).min(lifetime.mul_f64(0.75));
        if young || expires_at.since(now) >= asked {
            Self::Fresh
        } else {
            Self::Short
        }
    }
}

/// What sets the length of a pause after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pause {
    /// Failures in a row: it doubles from the policy's first pause up to the longest.
    Growing,
    /// It is the longest at once: asking soon would be no use.
    Longest,
    /// The provider asked for so much, which is honoured up to a day; never less than
    /// [`Self::Growing`].
    Wished(Duration),
}

/// How long to pause after so many failures in a row. What the provider did not ask for is stretched
/// by up to a quarter, by `spread` between 0 and 1: what failed together is not tried again
/// together.
pub(super) fn backoff(failures: i64, how: Pause, spread: f64, policy: &Policy) -> Duration {
    const DAY: Duration = Duration::from_hours(24);
    let doublings = u32::try_from(failures.clamp(1, 20) - 1).unwrap_or(0);
    let growing = policy
        .backoff
        .saturating_mul(2_u32.saturating_pow(doublings))
        .min(policy.max_backoff);
    let (own, wished) = match how {
        Pause::Growing => (growing, Duration::ZERO),
        Pause::Longest => (policy.max_backoff, Duration::ZERO),
        Pause::Wished(wished) => (growing, wished.min(DAY)),
    };
    own.mul_f64(1.0 + spread.clamp(0.0, 1.0) / 4.0).max(wished)
}

/// Somewhere from 0 to 1, always the same for the same bytes.
pub(super) fn spread<'a>(bytes: impl IntoIterator<Item = &'a u8>) -> f64 {
    // FNV-1a, whose high bits alone would hardly differ between neighbours.
    let hash = bytes.into_iter().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    f64::from(hash % 1000) / 999.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn life(lifetime: Option<u64>) -> Lifecycle {
        let obtained_at = Timestamp::from_secs(1_000_000);
        let expires_at = lifetime.map(|secs| obtained_at.after(Duration::from_secs(secs)));
        Lifecycle::granted(obtained_at, expires_at, true)
    }

    fn at(life: &Lifecycle, secs: u64, min_valid_for: u64) -> Freshness {
        let now = life.obtained_at.after(Duration::from_secs(secs));
        Freshness::of(
            life,
            now,
            Duration::from_secs(min_valid_for),
            &Policy::default(),
        )
    }

    #[test]
    fn what_is_asked_for_is_cut_to_three_quarters_of_the_lifetime() {
        let hour = life(Some(3_600));

        assert_eq!(at(&hour, 3_600 - 61, 0), Freshness::Fresh);
        assert_eq!(at(&hour, 3_600 - 59, 0), Freshness::Short);
        assert_eq!(at(&hour, 60, 86_400), Freshness::Short.min_for(&hour, 60));
        assert_eq!(at(&hour, 3_600, 0), Freshness::Over);
    }

    impl Freshness {
        /// 75 % of an hour is 45 minutes: one minute in, 59 minutes are left, which is enough.
        fn min_for(self, life: &Lifecycle, secs: u64) -> Self {
            let left = life
                .expires_at
                .map_or(0, |end| end.since(life.obtained_at).as_secs())
                - secs;
            if left >= 2_700 { Self::Fresh } else { self }
        }
    }

    #[test]
    fn a_lifetime_below_the_margin_is_not_renewed_on_every_read() {
        let short = life(Some(40));

        assert_eq!(at(&short, 0, 0), Freshness::Fresh);
        assert_eq!(at(&short, 29, 0), Freshness::Fresh);
        assert_eq!(at(&short, 31, 0), Freshness::Short);
        assert_eq!(at(&short, 40, 0), Freshness::Over);
    }

    #[test]
    fn an_unknown_lifetime_lasts_until_it_is_rejected() {
        let mut unknown = life(None);

        assert_eq!(at(&unknown, 10_000_000, 3_600), Freshness::Fresh);
        unknown.rejected = true;
        assert_eq!(at(&unknown, 1, 0), Freshness::Over);
    }

    #[test]
    fn a_clock_that_jumps_back_starts_no_storm_and_hands_out_nothing_expired() {
        let hour = life(Some(3_600));
        let early = hour.obtained_at.before(Duration::from_mins(5));

        let verdict = Freshness::of(&hour, early, Duration::ZERO, &Policy::default());

        assert_eq!(verdict, Freshness::Fresh);
    }

    #[test]
    fn pauses_double_and_honour_the_provider() {
        let policy = Policy::default();
        let secs = |n, how| backoff(n, how, 0.0, &policy).as_secs();
        let wished = |secs| Pause::Wished(Duration::from_secs(secs));

        let doubled = [1, 2, 3].map(|n| secs(n, Pause::Growing));
        assert_eq!(doubled, [2, 4, 8]);
        assert_eq!(secs(40, Pause::Growing), 300);
        assert_eq!(secs(1, Pause::Longest), 300);
        assert_eq!(secs(1, wished(900)), 900);
        assert_eq!(secs(3, wished(1)), 8);
        assert_eq!(secs(1, wished(u64::MAX)), 86_400);
    }

    #[test]
    fn pauses_are_spread_and_never_shorter_than_the_provider_asked_for() {
        let policy = Policy::default();
        let millis = |how, spread| backoff(2, how, spread, &policy).as_millis();
        let wished = |secs| Pause::Wished(Duration::from_secs(secs));

        assert_eq!(millis(Pause::Growing, 0.5), 4_500);
        assert_eq!(millis(Pause::Longest, 1.0), 375_000);
        assert_eq!(millis(wished(60), 1.0), 60_000);
        assert_eq!(millis(wished(1), 1.0), 5_000);
    }

    proptest! {
        #[test]
        fn what_is_spread_lies_between_nought_and_one(bytes: [u8; 16]) {
            prop_assert!((0.0..=1.0).contains(&spread(&bytes)));
        }
    }

    #[test]
    fn neighbours_are_spread_apart() {
        let spreads: Vec<f64> = (0..100_u8).map(|n| spread(&[1, 2, n])).collect();

        let below = spreads.iter().filter(|spread| **spread < 0.5).count();
        assert!((30..70).contains(&below), "{spreads:?}");
    }
}
