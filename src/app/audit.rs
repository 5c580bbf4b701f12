//! The audit trail as it is read and kept, and refusals, which change nothing and are recorded all the
//! same. What is done is recorded where it is done, by the commit.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::App;
use super::error::{Error, Result};
use super::readable::readable_page;
use crate::domain::access::{ApiKey, Caller};
use crate::domain::audit::{AuditEvent, Filter, Verdict};
use crate::domain::ids::AuditEventId;
use crate::domain::page::{Cursor, InvalidPageToken, Page, PageRequest};
use crate::domain::secrets::SecretHash;

/// Events forgotten in one transaction.
const BATCH: i64 = 500;
/// How often that is done in one go; the rest is for the next.
const BATCHES: usize = 200;

/// Why a known caller was refused.
#[derive(Debug, Clone, Copy)]
pub struct Refusal<'a> {
    /// The name of the reason in the API.
    pub reason: &'a str,
    /// What the caller is told.
    pub message: &'a str,
}

impl App {
    /// A page of the events of the caller's tenant, the newest first. A page may hold fewer than asked
    /// for although more follow. A key narrowed to servers may not: events are about more.
    pub async fn list_audit_events(
        &self,
        caller: &Caller,
        filter: &Filter,
        page: &PageRequest,
    ) -> Result<Page<AuditEvent>> {
        check_reach(caller)?;
        let mark = mark(filter);
        let page = within(&mark, page).map_err(|error| {
            // The token of another list, or of this one with another filter.
            Error::invalid("page_token", error.to_string())
        })?;
        let mut tx = self.0.store.read().await?;
        let found = tx.audit().list(&caller.tenant, filter, &page).await?;
        let mut found = readable_page(found);
        if let Some(next) = &mut found.next {
            next.key = format!("{mark} {}", next.key);
        }
        Ok(found)
    }

    /// Writes that a known caller was refused a method, and why.
    pub async fn record_refusal(
        &self,
        caller: &Caller,
        path: &str,
        refusal: Refusal<'_>,
    ) -> Result<()> {
        let mut event = self.event(&caller.tenant, caller.origin(), "access.refuse", path);
        event.verdict = Verdict::Refused;
        event.reason = Some(refusal.reason.to_owned());
        event.detail = serde_json::json!({ "message": refusal.message });
        self.0.store.write().await?.commit(&event).await?;
        Ok(())
    }

    /// Writes that a known caller is refused, and answers the refusal.
    pub(super) async fn recorded(
        &self,
        caller: &Caller,
        path: &str,
        refusal: Error,
    ) -> Result<Error> {
        let message = if let Error::Invalid(found) = &refusal {
            let found = found.iter();
            let found = found.map(|one| format!("{} {}", one.field, one.description));
            found.collect::<Vec<_>>().join(", ")
        } else {
            refusal.to_string()
        };
        let why = Refusal {
            reason: refusal.refusal().unwrap_or("INVALID_ARGUMENT"),
            message: &message,
        };
        self.record_refusal(caller, path, why).await?;
        Ok(refusal)
    }

    /// Forgets events that are older than the deployment keeps them, in batches that hold up nobody for
    /// long.
    pub(super) async fn sweep_audit(&self) -> Result<()> {
        let Some(kept) = self.0.settings.audit_retention else {
            return Ok(());
        };
        let before = self.0.clock.now().before(kept);
        for _ in 0..BATCHES {
            let mut tx = self.0.store.upkeep().await?;
            let gone = tx.old_audit_events().delete_old(before, BATCH).await?;
            tx.commit().await?;
            if i64::try_from(gone) != Ok(BATCH) {
                break;
            }
        }
        Ok(())
    }
}

/// Refuses a key that is narrowed to servers: what happened to others would be in the trail too.
pub(super) fn check_reach(caller: &Caller) -> Result<()> {
    if caller.narrowing.servers.is_empty() {
        return Ok(());
    }
    Err(Error::KeyNarrowed { by: "servers" })
}

/// What binds page tokens to a filter.
fn mark(filter: &Filter) -> String {
    let text = serde_json::to_string(filter).unwrap_or_default();
    let hash = SecretHash::of(&text);
    URL_SAFE_NO_PAD.encode(hash.as_bytes().get(..9).unwrap_or_default())
}

/// The page as the store takes it, of a token that was answered under the same filter.
fn within(mark: &str, page: &PageRequest) -> std::result::Result<PageRequest, InvalidPageToken> {
    let after = page.after.as_ref().map(|cursor| {
        let own = cursor.key.split_once(' ').filter(|(own, _)| *own == mark);
        let (_, at) = own.ok_or(InvalidPageToken)?;
        let is_place = at.parse::<i64>().is_ok() && cursor.id.parse::<AuditEventId>().is_ok();
        let place = Cursor {
            key: at.to_owned(),
            id: cursor.id.clone(),
        };
        is_place.then_some(place).ok_or(InvalidPageToken)
    });
    Ok(PageRequest {
        size: page.size,
        after: after.transpose()?,
    })
}

/// A key for the audit trail: everything but its secret.
pub(super) fn describe_key(key: &ApiKey) -> serde_json::Value {
    let texts = |all: &mut dyn Iterator<Item = String>| all.collect::<Vec<_>>();
    serde_json::json!({
        "name": key.name,
        "role": key.role.as_str(),
        "user": key.user.as_ref().map(ToString::to_string),
        "methods": key.narrowing.methods,
        "servers": texts(&mut key.narrowing.servers.iter().map(ToString::to_string)),
        "source_cidrs": texts(&mut key.narrowing.source_cidrs.iter().map(ToString::to_string)),
        "requires_user_token": key.narrowing.requires_user_token,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::random::SeededRandom;
    use crate::domain::time::FixedClock;

    #[test]
    fn a_page_token_is_good_for_its_filter_only() {
        let filter = |user: &str| Filter {
            user: Some(user.to_owned()),
            ..Filter::default()
        };
        let (ann, bob) = (mark(&filter("ann")), mark(&filter("bob")));
        let id = AuditEventId::mint(&FixedClock::default(), &SeededRandom::new(1)).to_string();
        let page = |key: String, id: &str| PageRequest {
            size: 1,
            after: Some(Cursor {
                key,
                id: id.to_owned(),
            }),
        };

        let own = within(&ann, &page(format!("{ann} -5"), &id));

        assert_eq!(own, Ok(page("-5".to_owned(), &id)));
        for (key, id) in [
            (format!("{bob} 5"), id.as_str()),
            (format!("{ann} five"), &id),
            (format!("{ann} 5"), "srv_1"),
            ("5".to_owned(), &id),
            ("Wiki".to_owned(), &id),
        ] {
            assert_eq!(
                within(&ann, &page(key.clone(), id)),
                Err(InvalidPageToken),
                "{key}"
            );
        }
    }
}
