//! What is recorded is rendered, within bounds.

use super::*;

#[test]
fn what_was_recorded_is_rendered() {
    let metrics = Metrics::new();

    metrics.rpc(
        "TokenService",
        "GetConnection",
        "OK",
        Duration::from_millis(2),
    );
    metrics.resolved(ResolveOutcome::NotConnected);
    metrics.refreshed("https://as.example", RefreshOutcome::Success);
    metrics.handshake_ended(HandshakeOutcome::Denied);
    metrics.revoked(RevocationOutcome::Dead);
    metrics.set_revocations(3, 1);
    metrics.set_feed_lag(Duration::from_secs(7));

    let text = metrics.render();
    for line in [
        "stationmaster_rpcs_total{service=\"TokenService\",method=\"GetConnection\",code=\"OK\"} 1",
        "stationmaster_rpc_duration_seconds_count{service=\"TokenService\",method=\"GetConnection\"} 1",
        "stationmaster_resolves_total{outcome=\"not_connected\"} 1",
        "stationmaster_refreshes_total{issuer=\"https://as.example\",outcome=\"success\"} 1",
        "stationmaster_handshakes_total{outcome=\"denied\"} 1",
        "stationmaster_revocations_total{outcome=\"dead\"} 1",
        "stationmaster_pending_revocations 3",
        "stationmaster_dead_revocations 1",
        "stationmaster_feed_lag_seconds 7.0",
        "# EOF",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[test]
fn issuers_beyond_the_bound_share_a_series() {
    let metrics = Metrics::new();

    for number in 0..MAX_ISSUERS + 3 {
        let issuer = format!("https://{number}.example");
        metrics.refreshed(&issuer, RefreshOutcome::Refused);
    }

    let text = metrics.render();
    let other = "stationmaster_refreshes_total{issuer=\"other\",outcome=\"refused\"} 3";
    assert!(text.lines().any(|line| line == other));
}
