//! What settings must be together.

use stationmaster::config::LoadOptions;

use super::{Say, dev, production};

#[test]
fn plain_text_beyond_this_machine_must_be_allowed() {
    let options = production().flag("listen.grpc", "0.0.0.0:7400");

    assert!(options.lines()[0].contains("serves plain text beyond this machine"));
    let allowed = options.flag("listen.allow_plaintext", "true");
    assert_eq!(allowed.lines(), Vec::<String>::new());
}

#[test]
fn public_urls_are_https_outside_dev() {
    let options = production()
        .flag("public.url", "http://mcp.example.com")
        .flag("public.allowed_return_urls", "http://chat.example.com/done")
        .flag("public.allowed_opener_origins", "http://chat.example.com");

    let keys: Vec<_> = options.problems().into_iter().map(|p| p.key).collect();

    assert_eq!(
        keys,
        [
            "public.url",
            "public.allowed_return_urls",
            "public.allowed_opener_origins"
        ]
    );
}

#[test]
fn a_client_document_has_an_https_url() {
    let offends = |options: LoadOptions, key: &str| {
        let problems = options.problems();
        problems.iter().any(|problem| problem.key == key)
    };
    let ours = |options: LoadOptions| options.flag("oauth.client_metadata", "true");
    let at = |url: &str| production().flag("oauth.client_metadata_url", url);

    assert!(offends(ours(dev()), "oauth.client_metadata"));
    assert!(!offends(ours(production()), "oauth.client_metadata"));
    for url in [
        "http://a.example/c.json",
        "https://a.example",
        "https://a.example/",
    ] {
        assert!(offends(at(url), "oauth.client_metadata_url"), "{url}");
    }
    assert_eq!(at("https://a.example/c.json").lines(), Vec::<String>::new());
}

#[test]
fn a_lease_outlives_the_request_it_guards() {
    let options = production()
        .flag("oauth.request_timeout", "60s")
        .flag("tokens.lease", "64s");

    assert_eq!(options.problems()[0].key, "tokens.lease");
}

#[test]
fn what_runs_may_finish_before_the_process_ends() {
    let timeouts = |request: &str, shutdown: &str| {
        production()
            .flag("oauth.request_timeout", request)
            .flag("tokens.lease", "10m")
            .flag("lifecycle.shutdown_timeout", shutdown)
    };

    let short = timeouts("2m", "125s").problems();

    assert_eq!(short.len(), 1);
    assert_eq!(short[0].key, "lifecycle.shutdown_timeout");
    assert!(short[0].message.contains("`oauth.request_timeout`"));
    assert_eq!(timeouts("2m", "126s").lines(), Vec::<String>::new());
    // With the defaults too, `--dev` included: what is longer there is refused.
    for options in [production(), dev()] {
        let longer = options.flag("oauth.request_timeout", "25s");
        let longer = longer.flag("tokens.lease", "60s");
        assert_eq!(longer.problems()[0].key, "lifecycle.shutdown_timeout");
    }
}

#[test]
fn listeners_do_not_share_an_address() {
    let options = production().flag("listen.public", "127.0.0.1:7402");

    assert_eq!(
        options.lines(),
        ["`listen.operations` (default): is the same address as `listen.public`"]
    );
    let free = production()
        .flag("listen.public", "127.0.0.1:0")
        .flag("listen.operations", "127.0.0.1:0");
    assert_eq!(free.lines(), Vec::<String>::new());
}
