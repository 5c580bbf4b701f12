//! `audit …`: who did what to what.

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use prost_types::Timestamp;
use serde_json::Value;

use super::caller::{As, Caller};
use super::output::{Format, Output, table};
use super::parse::{self, Moment};
use super::show::{time, word};
use crate::client::{self, Client, answer, json, v1};
use crate::domain::time::{Clock as _, SystemClock};

/// Events of one page of an export.
const PAGE: i32 = 200;

/// `audit …`.
#[derive(Debug, Args)]
pub(super) struct Command {
    #[command(flatten)]
    caller: Caller,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List events, the newest first
    #[command(after_long_help = "\
Examples:
  stationmaster audit list
  stationmaster audit list --action 'server.*' --since 7d
  stationmaster audit list --user alice --verdict refused --limit 20")]
    List {
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        span: Span,
        /// At most so many
        #[arg(long, value_name = "NUMBER", default_value_t = 50,
            value_parser = clap::value_parser!(i32).range(1..=10_000))]
        limit: i32,
    },
    /// Follow events from now on, or from a revision, until interrupted
    ///
    /// One line for each event. With `--output json` each line is a document.
    #[command(after_long_help = "\
Examples:
  stationmaster audit watch
  stationmaster audit watch --verdict refused
  stationmaster audit watch --after 1234 --output json")]
    Watch {
        #[command(flatten)]
        filter: Filter,
        /// Only what was committed after this revision, within 24 hours
        #[arg(long, value_name = "REVISION")]
        after: Option<i64>,
    },
    /// Print all events as JSON, one a line, the newest first
    ///
    /// The fields are those of `AuditEvent` in the API, with `detail`, an object, in place of
    /// `detail_json`.
    #[command(after_long_help = "\
Examples:
  stationmaster audit export --since 2026-01-01 --until 2026-02-01 > january.jsonl
  stationmaster audit export --since 24h | tac")]
    Export {
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        span: Span,
    },
}

/// Which events: those that match all that is said.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which events")]
struct Filter {
    /// What was done: `server.create`, or all of an area: `server.*`; repeat for more
    #[arg(long = "action", value_name = "ACTION")]
    actions: Vec<String>,
    /// Who did it: a key's id, or of a token `ISSUER#SUBJECT`
    #[arg(long, value_name = "WHO")]
    principal: Option<String>,
    /// The user it was done for
    #[arg(long, short)]
    user: Option<String>,
    /// What it was done to: an id, or a name where there is no id
    #[arg(long)]
    subject: Option<String>,
    /// How it ended
    #[arg(long, value_enum)]
    verdict: Option<Verdict>,
    /// What kind of party did it
    #[arg(long, value_enum)]
    actor: Option<Actor>,
    /// The id of the request that it came of
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

/// When.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which events")]
struct Span {
    /// At this time or later: `2026-01-31`, `2026-01-31T12:00:00Z`, or `24h` for so long ago
    #[arg(long, value_name = "TIME", value_parser = parse::moment)]
    since: Option<Moment>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = parse::moment)]
    until: Option<Moment>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Verdict {
    Done,
    Refused,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Actor {
    Caller,
    Browser,
    Machine,
    Service,
    Unknown,
}

impl From<Verdict> for v1::AuditVerdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Done => Self::Done,
            Verdict::Refused => Self::Refused,
        }
    }
}

impl From<Actor> for v1::AuditActorKind {
    fn from(actor: Actor) -> Self {
        match actor {
            Actor::Caller => Self::Caller,
            Actor::Browser => Self::Browser,
            Actor::Machine => Self::Machine,
            Actor::Service => Self::Service,
            Actor::Unknown => Self::Unknown,
        }
    }
}

impl Filter {
    fn within(self, span: &Span) -> v1::AuditFilter {
        let verdict = self.verdict.map(v1::AuditVerdict::from);
        let actor = self.actor.map(v1::AuditActorKind::from);
        let now = SystemClock::new().now();
        let at = |moment: &Option<Moment>| moment.as_ref().map(|moment| moment.at(now));
        v1::AuditFilter {
            actions: self.actions,
            principal: self.principal.unwrap_or_default(),
            user: self.user.unwrap_or_default(),
            subject: self.subject.unwrap_or_default(),
            verdict: verdict.unwrap_or(v1::AuditVerdict::Unspecified).into(),
            start_time: at(&span.since),
            end_time: at(&span.until),
            actor_kind: actor.unwrap_or(v1::AuditActorKind::Unspecified).into(),
            request_id: self.request_id.unwrap_or_default(),
        }
    }
}

impl Command {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let client = self.caller.client(As::Administrator).await?;
        match self.action {
            Action::List {
                filter,
                span,
                limit,
            } => {
                let mut found = v1::ListAuditEventsResponse::default();
                let filter = filter.within(&span);
                loop {
                    let held = i32::try_from(found.events.len()).unwrap_or(limit);
                    let size = limit.saturating_sub(held).min(PAGE);
                    let page = (size, found.next_page_token);
                    let more = page_of(&client, &filter, page).await?;
                    found.events.extend(more.events);
                    found.next_page_token = more.next_page_token;
                    let over = found.events.len() >= usize::try_from(limit).unwrap_or_default();
                    if over || found.next_page_token.is_empty() {
                        break;
                    }
                }
                out.answer(&found, all);
            }
            Action::Watch { filter, after } => {
                let nowhen = Span {
                    since: None,
                    until: None,
                };
                let request = v1::WatchAuditEventsRequest {
                    filter: Some(filter.within(&nowhen)),
                    after_revision: after,
                };
                let mut events = answer(client.audit().watch_audit_events(request)).await?;
                while let Some(event) = events.message().await.map_err(client::Error::from)? {
                    match out.format() {
                        Format::Table => out.answer(&event, line),
                        Format::Json => out.line(&json::write(&event)),
                    }
                }
            }
            Action::Export { filter, span } => {
                let filter = filter.within(&span);
                let mut token = String::new();
                loop {
                    let found = page_of(&client, &filter, (PAGE, token)).await?;
                    let read = out.lines(found.events.iter().map(exported))?;
                    token = found.next_page_token;
                    if !read || token.is_empty() {
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}

async fn page_of(
    client: &Client,
    filter: &v1::AuditFilter,
    (page_size, page_token): (i32, String),
) -> Result<v1::ListAuditEventsResponse> {
    let request = v1::ListAuditEventsRequest {
        filter: Some(filter.clone()),
        page_size,
        page_token,
    };
    Ok(answer(client.audit().list_audit_events(request)).await?)
}

/// An event as it is exported: as the API has it, with its details as what they are.
fn exported(event: &v1::AuditEvent) -> Value {
    let mut line = json::write(event);
    if let Some(fields) = line.as_object_mut() {
        fields.remove("detail_json");
        let detail = serde_json::from_str(&event.detail_json);
        fields.insert("detail".to_owned(), detail.unwrap_or(Value::Null));
    }
    line
}

fn all(found: &v1::ListAuditEventsResponse) -> String {
    let rows = found.events.iter().map(|event| {
        [
            time(event.event_time.as_ref()),
            who(event),
            event.action.clone(),
            event.subject.clone(),
            event.user.clone(),
            outcome(event),
            event.address.clone().unwrap_or_default(),
        ]
    });
    let head = [
        "TIME", "WHO", "ACTION", "SUBJECT", "USER", "OUTCOME", "FROM",
    ];
    let table = table(head, rows);
    if found.next_page_token.is_empty() {
        table
    } else {
        format!("{table}\nthere is more: raise --limit, or narrow it down")
    }
}

/// An event of the stream in one line.
fn line(told: &v1::WatchAuditEventsResponse) -> String {
    let kind = word(told.kind().as_str_name(), "CHANGE_KIND");
    let head = format!("{kind:<9}  {:<10}", told.revision);
    let Some(event) = &told.event else {
        return head.trim_end().to_owned();
    };
    let at: Option<&Timestamp> = event.event_time.as_ref();
    let parts = [
        time(at),
        who(event),
        event.action.clone(),
        event.subject.clone(),
        event.user.clone(),
        outcome(event),
    ];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    format!("{head}  {}", parts.join("  "))
}

/// The name of a key, or what kind of party it was.
fn who(event: &v1::AuditEvent) -> String {
    let named = [&event.principal_name, &event.principal];
    let named = named.into_iter().find(|name| !name.is_empty());
    named.cloned().unwrap_or_else(|| {
        let kind = event.actor_kind().as_str_name();
        word(kind, "AUDIT_ACTOR_KIND")
    })
}

/// How it ended, and why, and how often.
fn outcome(event: &v1::AuditEvent) -> String {
    let verdict = word(event.verdict().as_str_name(), "AUDIT_VERDICT");
    let mut words = vec![verdict];
    if !event.reason.is_empty() {
        words.push(event.reason.clone());
    }
    if event.count != 1 {
        words.push(format!("x{}", event.count));
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> v1::AuditEvent {
        v1::AuditEvent {
            id: "evt_1".to_owned(),
            actor_kind: v1::AuditActorKind::Unknown.into(),
            action: "access.refuse_stranger".to_owned(),
            verdict: v1::AuditVerdict::Refused.into(),
            reason: "CREDENTIALS_INVALID".to_owned(),
            detail_json: r#"{"invalid":3}"#.to_owned(),
            count: 3,
            ..v1::AuditEvent::default()
        }
    }

    #[test]
    fn an_exported_event_has_its_details_as_an_object() {
        let line = exported(&event());

        assert_eq!(line["detail"]["invalid"], 3);
        assert_eq!(line["action"], "access.refuse_stranger");
        assert!(line.get("detail_json").is_none());
    }

    #[test]
    fn what_was_counted_says_how_often() {
        assert_eq!(outcome(&event()), "refused CREDENTIALS_INVALID x3");
        assert_eq!(who(&event()), "unknown");
    }
}
