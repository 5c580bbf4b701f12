//! What a set of inline servers is refused for, one rule a test.

use super::*;

fn draft() -> InlineDraft {
    InlineDraft {
        slug: "notes".to_owned(),
        url: "https://notes.example.com/mcp".to_owned(),
        headers: vec![header("X-Api-Key", "hush")],
        tools: ToolPolicy::default(),
        allowed: Allowed {
            in_plan_mode: false,
            in_subagents: false,
        },
        forward_identity_headers: false,
    }
}

fn header(name: &str, value: &str) -> (String, HeaderSecret) {
    (name.to_owned(), HeaderSecret::new(value.to_owned()))
}

fn names(count: usize, len: usize) -> Vec<String> {
    let name = |at: usize| format!("{at:0len$}");
    (0..count).map(name).collect()
}

/// The fields that a set is refused for.
fn fields(drafts: &[InlineDraft]) -> Vec<String> {
    let private = |url: &Url| url.host_str() != Some("10.0.0.1");
    let found = check(drafts, Rules::HttpsOnly, private).into_vec();
    found.into_iter().map(|found| found.field).collect()
}

fn with(change: impl FnOnce(&mut InlineDraft)) -> Vec<String> {
    let mut one = draft();
    change(&mut one);
    fields(&[one])
}

#[test]
fn a_slug_is_short_and_the_chats_only_one() {
    for good in ["a", "0-b", &"x".repeat(32)] {
        assert_eq!(with(|one| one.slug = good.to_owned()), [""; 0], "{good}");
    }
    for bad in ["", "-a", "A", "a_b", "ä", &"x".repeat(33)] {
        assert_eq!(with(|one| one.slug = bad.to_owned()), ["servers[0].slug"]);
    }
    assert_eq!(fields(&[draft(), draft()]), ["servers[1].slug"]);
}

#[test]
fn a_url_is_plain_https_to_where_the_deployment_reaches() {
    let long = format!("https://a.example.com/{}", "x".repeat(2048));
    for bad in [
        "",
        "nowhere",
        "http://a.example.com/",
        "ftp://a.example.com/",
        "https://me@a.example.com/",
        "https://:pass@a.example.com/",
        "https://a.example.com/?q",
        "https://a.example.com/#f",
        "https://10.0.0.1/",
        &long,
    ] {
        assert_eq!(
            with(|one| one.url = bad.to_owned()),
            ["servers[0].url"],
            "{bad}"
        );
    }
    let http = InlineDraft {
        url: "http://a.example.com/".to_owned(),
        ..draft()
    };
    assert!(check(&[http], Rules::HttpAllowed, |_| true).is_empty());
}

#[test]
fn headers_are_few_and_neither_reserved_nor_given_twice() {
    let many = |count: usize| {
        let name = |at: usize| header(&format!("X-{at}"), "v");
        (0..count).map(name).collect::<Vec<_>>()
    };
    assert_eq!(with(|one| one.headers = vec![]), [""; 0]);
    assert_eq!(with(|one| one.headers = many(16)), [""; 0]);
    assert_eq!(with(|one| one.headers = many(17)), ["servers[0].headers"]);
    for bad in [
        header("Host", "v"),
        header("Proxy-Authorization", "v"),
        header("Mcp-Session-Id", "v"),
        header("Content-Type", "v"),
        header("X-Coder-Owner-Id", "v"),
        header("x-stationmaster-identity", "v"),
        header("x-api-key", "v"),
        header("a b", "v"),
        header(&"x".repeat(129), "v"),
        header("X-A", ""),
        header("X-A", "a\r\nb"),
        header("X-A", &"v".repeat(8193)),
    ] {
        let name = bad.0.clone();
        let found = with(|one| one.headers.push(bad));
        assert_eq!(found, ["servers[0].headers"], "{name}");
    }
}

#[test]
fn tools_are_allowed_or_denied_and_not_too_many() {
    let lists =
        |allow: Vec<String>, deny: Vec<String>| with(|one| one.tools = ToolPolicy { allow, deny });

    assert_eq!(lists(names(64, 128), vec![]), [""; 0]);
    assert_eq!(lists(vec![], names(64, 128)), [""; 0]);
    assert_eq!(lists(names(65, 3), vec![]), ["servers[0].tool_allow_list"]);
    assert_eq!(lists(vec![], names(1, 129)), ["servers[0].tool_deny_list"]);
    assert_eq!(
        lists(names(1, 3), names(1, 3)),
        ["servers[0].tool_deny_list"]
    );
}

#[test]
fn a_set_is_small() {
    let set = |count: usize, bytes: usize| -> Vec<InlineDraft> {
        let one = |at: usize| InlineDraft {
            slug: format!("s{at}"),
            headers: vec![header("X-A", &"v".repeat(bytes))],
            ..draft()
        };
        (0..count).map(one).collect()
    };

    assert_eq!(fields(&set(5, 4000)), [""; 0]);
    assert_eq!(fields(&set(6, 1)), ["servers"]);
    assert_eq!(fields(&set(5, 5000)), ["servers"]);
    assert_eq!(fields(&[]), [""; 0]);
}

#[test]
fn every_offence_is_told_at_its_place() {
    let bad = InlineDraft {
        slug: "No".to_owned(),
        url: "x".to_owned(),
        ..draft()
    };

    let found = fields(&[draft(), bad]);

    assert_eq!(found, ["servers[1].slug", "servers[1].url"]);
}
