//! `AuditService`: who did what to what, listed and followed.

use futures_util::stream::BoxStream;
use tonic::{Request, Response, Status, async_trait};

use super::call::Call;
use super::convert::{all, choice, next_token, page, revision, time, timestamp};
use crate::app::{App, AuditWatch, Result as Done, Told, TrailEvent};
use crate::domain::access::Caller;
use crate::domain::audit::{ActionPattern, ActorKind, AuditEvent, Filter, Verdict, Who};
use crate::domain::text::{self, Violations};
use crate::pb::v1 as pb;
use crate::pb::v1::audit_service_server::AuditService;

/// The most actions a filter may name.
const MAX_ACTIONS: usize = 32;
/// The longest other part of a filter, in bytes: a principal may be an issuer and a subject.
const MAX_PART: usize = 1024;

/// The service.
#[derive(Debug)]
pub(super) struct Audit(pub(super) App);

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl AuditService for Audit {
    async fn list_audit_events(
        &self,
        request: Request<pb::ListAuditEventsRequest>,
    ) -> Answer<pb::ListAuditEventsResponse> {
        let (call, ask) = Call::open(request)?;
        call.answer(list(&self.0, &call.caller, ask).await)
    }

    type WatchAuditEventsStream = BoxStream<'static, Result<pb::WatchAuditEventsResponse, Status>>;

    async fn watch_audit_events(
        &self,
        request: Request<pb::WatchAuditEventsRequest>,
    ) -> Answer<Self::WatchAuditEventsStream> {
        let (call, ask) = Call::open(request)?;
        let watch = watch(&self.0, &call.caller, ask).await;
        let watch = watch.map_err(|error| call.refuse(&error))?;
        Ok(Response::new(call.follow(watch.detached(), told)))
    }
}

async fn list(
    app: &App,
    caller: &Caller,
    ask: pb::ListAuditEventsRequest,
) -> Done<pb::ListAuditEventsResponse> {
    let mut found = Violations::new();
    let filter = filter(&mut found, &ask.filter.unwrap_or_default());
    let page = page(&mut found, ask.page_size, &ask.page_token);
    let (filter, page) = all(found, filter.zip(page))?;
    let page = app.list_audit_events(caller, &filter, &page).await?;
    Ok(pb::ListAuditEventsResponse {
        next_page_token: next_token(page.next.as_ref()),
        events: page.entries.into_iter().map(event).collect(),
    })
}

/// Begins to follow events.
async fn watch(app: &App, caller: &Caller, ask: pb::WatchAuditEventsRequest) -> Done<AuditWatch> {
    let mut found = Violations::new();
    let filter = filter(&mut found, &ask.filter.unwrap_or_default());
    if let Some(filter) = &filter {
        for (field, time) in [("start_time", filter.from), ("end_time", filter.until)] {
            if time.is_some() {
                found.add(format!("filter.{field}"), "must be absent from a watch");
            }
        }
    }
    let after = ask.after_revision;
    let after = after.map(|after| revision(&mut found, "after_revision", after));
    let filter = all(found, filter)?;
    app.watch_audit_events(caller, filter, after).await
}

fn filter(found: &mut Violations, ask: &pb::AuditFilter) -> Option<Filter> {
    let actions = text::list(&ask.actions, MAX_ACTIONS, MAX_PART);
    let actions = found.keep("filter.actions", actions).unwrap_or_default();
    let actions = actions.iter().map(|action| ActionPattern::parse(action));
    let actions = found.keep("filter.actions", actions.collect::<Result<Vec<_>, _>>());
    let mut part = |field: &str, part: &str| {
        let part = found.keep(&format!("filter.{field}"), text::line(part, MAX_PART));
        part.filter(|part| !part.is_empty())
    };
    let principal = part("principal", &ask.principal);
    let user = part("user", &ask.user);
    let subject = part("subject", &ask.subject);
    let request_id = part("request_id", &ask.request_id);
    let verdict = choice(found, "filter.verdict", ask.verdict);
    let actor_kind = choice(found, "filter.actor_kind", ask.actor_kind);
    let from = time(found, "filter.start_time", ask.start_time);
    let until = time(found, "filter.end_time", ask.end_time);
    let ((actions, verdict), actor_kind) = actions.zip(verdict).zip(actor_kind)?;
    Some(Filter {
        actions,
        principal,
        user,
        subject,
        verdict: read_verdict(verdict),
        actor_kind: read_actor_kind(actor_kind),
        request_id,
        from,
        until,
    })
}

/// Any when not said.
fn read_verdict(verdict: pb::AuditVerdict) -> Option<Verdict> {
    match verdict {
        pb::AuditVerdict::Unspecified => None,
        pb::AuditVerdict::Done => Some(Verdict::Done),
        pb::AuditVerdict::Refused => Some(Verdict::Refused),
    }
}

/// Any when not said.
fn read_actor_kind(kind: pb::AuditActorKind) -> Option<ActorKind> {
    match kind {
        pb::AuditActorKind::Unspecified => None,
        pb::AuditActorKind::Caller => Some(ActorKind::Caller),
        pb::AuditActorKind::Browser => Some(ActorKind::Browser),
        pb::AuditActorKind::Machine => Some(ActorKind::Machine),
        pb::AuditActorKind::Service => Some(ActorKind::Service),
        pb::AuditActorKind::Unknown => Some(ActorKind::Unknown),
    }
}

fn actor_kind(kind: ActorKind) -> pb::AuditActorKind {
    match kind {
        ActorKind::Caller => pb::AuditActorKind::Caller,
        ActorKind::Browser => pb::AuditActorKind::Browser,
        ActorKind::Machine => pb::AuditActorKind::Machine,
        ActorKind::Service => pb::AuditActorKind::Service,
        ActorKind::Unknown => pb::AuditActorKind::Unknown,
    }
}

fn verdict(verdict: Verdict) -> pb::AuditVerdict {
    match verdict {
        Verdict::Done => pb::AuditVerdict::Done,
        Verdict::Refused => pb::AuditVerdict::Refused,
    }
}

/// An event as it is answered.
fn event(event: AuditEvent) -> pb::AuditEvent {
    let kind = actor_kind(event.origin.who.kind());
    let (principal, principal_name) = match event.origin.who {
        Who::Caller { principal, name } => (principal, name),
        Who::Browser | Who::Machine | Who::Service | Who::Unknown => Default::default(),
    };
    let detail_json = if event.detail.is_null() {
        "{}".to_owned()
    } else {
        event.detail.to_string()
    };
    pb::AuditEvent {
        id: event.id.to_string(),
        event_time: Some(timestamp(event.at)),
        actor_kind: kind.into(),
        principal,
        principal_name,
        action: event.action,
        subject: event.subject,
        user: event.user.unwrap_or_default(),
        verdict: verdict(event.verdict).into(),
        reason: event.reason.unwrap_or_default(),
        detail_json,
        request_id: event.origin.request_id.unwrap_or_default(),
        address: event.origin.address.map(|address| address.to_string()),
        count: event.count,
        revision: event.revision.0,
    }
}

fn told(told: Told<TrailEvent>) -> pb::WatchAuditEventsResponse {
    let answer = |kind: pb::ChangeKind| pb::WatchAuditEventsResponse {
        kind: kind.into(),
        revision: told.revision.0,
        event: None,
    };
    match told.event {
        TrailEvent::Put(put) => pb::WatchAuditEventsResponse {
            event: Some(event(*put)),
            ..answer(pb::ChangeKind::Put)
        },
        TrailEvent::Synced => answer(pb::ChangeKind::Synced),
        TrailEvent::Heartbeat => answer(pb::ChangeKind::Heartbeat),
    }
}
