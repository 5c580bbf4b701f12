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

/// How long to pause after so many failures in a row: doubling from the policy's first pause, never
/// shorter than the provider asked for, never longer than the longest (a provider's own wish is
/// honoured up to a day).
pub fn backoff(failures: i64, retry_after: Option<Duration>, policy: &Policy) -> Duration {
    const DAY: Duration = Duration::from_hours(24);
    let doublings = u32::try_from(failures.clamp(1, 20) - 1).unwrap_or(0);
    let own = policy
        .backoff
        .saturating_mul(2_u32.saturating_pow(doublings))
        .min(policy.max_backoff);
    own.max(retry_after.unwrap_or_default().min(DAY))
}

#[cfg(test)]
mod tests {
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
        let secs = |n, after| backoff(n, after, &policy).as_secs();

        assert_eq!([secs(1, None), secs(2, None), secs(3, None)], [2, 4, 8]);
        assert_eq!(secs(40, None), 300);
        assert_eq!(secs(1, Some(Duration::from_mins(15))), 900);
        assert_eq!(secs(1, Some(Duration::MAX)), 86_400);
    }
}
