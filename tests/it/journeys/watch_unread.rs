//! Watchers that read nothing: their watches end like all others, and hold nothing afterwards.

use stationmaster::client::{answer, v1};
use v1::ChangeKind as Kind;

use crate::harness::client::{reason, refusal};
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::watching::{BURST, after, burst, served, unread, watch};
use crate::harness::world::{World, on_both_engines};
use crate::walks::rows::raw;

on_both_engines! {
    a_revoked_key_ends_a_watch_that_nobody_reads,
    a_watcher_that_does_not_read_is_cut_off_and_may_resume,
    a_watcher_that_left_is_forgotten,
}

async fn a_revoked_key_ends_a_watch_that_nobody_reads(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    let service = TestService::start_on(&database, &[]).await;
    let mut raw = raw(&database).await;
    let admin = service.client(service.admin_key()).await;
    let request = v1::CreateApiKeyRequest {
        role: v1::Role::Daemon.into(),
        name: "watches".to_owned(),
        ..v1::CreateApiKeyRequest::default()
    };
    let made = answer(admin.access().create_api_key(request))
        .await
        .unwrap();
    let mut unread = unread(&service, &made.secret).await;
    burst(&mut raw, &service).await;
    let other = watch(&admin, after(0)).await.unwrap();
    let mut other = other.synced().await;
    for _ in 0..BURST {
        other.next().await;
    }
    drop(other);
    World::until("one is served", async || served(&service).await == 1).await;

    let api_key = made.api_key.unwrap().id;
    let request = v1::RevokeApiKeyRequest { api_key };
    answer(admin.access().revoke_api_key(request))
        .await
        .unwrap();

    World::until("nothing is served", async || served(&service).await == 0).await;
    let (told, ended) = unread.rest().await;
    assert_eq!(told[0].kind(), Kind::Synced);
    assert_eq!(reason::<()>(Err(ended)), "CREDENTIALS_INVALID");
    service.stop().await;
}

async fn a_watcher_that_does_not_read_is_cut_off_and_may_resume(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    let service = TestService::start_on(&database, &[]).await;
    let mut raw = raw(&database).await;
    let mut unread = unread(&service, service.admin_key()).await;
    burst(&mut raw, &service).await;

    World::until("nothing is served", async || {
        service.clock().advance(std::time::Duration::from_secs(61));
        served(&service).await == 0
    })
    .await;

    let (told, ended) = unread.rest().await;
    let ended = refusal::<()>(Err(ended));
    assert_eq!(ended.reason, "WATCH_TOO_SLOW");
    let seen = told.last().unwrap().revision;
    assert_eq!(ended.metadata["revision"], seen.to_string());
    assert!(told.len() < 100, "more was told than there is room for");
    let admin = service.client(service.admin_key()).await;
    let resumed = watch(&admin, after(seen)).await.unwrap();
    let mut resumed = resumed.synced().await;
    for number in told.len()..=BURST {
        let gone = resumed.next().await;
        assert_eq!(
            (gone.kind(), gone.connection_id),
            (Kind::Delete, format!("con_{number}"))
        );
    }
    drop(resumed);
    service.stop().await;
}

async fn a_watcher_that_left_is_forgotten(engine: Engine) {
    let service = TestService::start(engine).await;
    let unread = unread(&service, service.admin_key()).await;
    assert_eq!(served(&service).await, 1);

    drop(unread);

    World::until("nothing is served", async || served(&service).await == 0).await;
}
