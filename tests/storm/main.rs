//! The storm (`make storm`): proves that no user's grant is lost. What it does, and how to read what
//! it prints, is in `docs/storm.md`.
//!
//! One program in three roles, each a process: the driver; `provider`, whose journal gives the
//! verdict; `keeper`, which ends what the driver started, however the driver ends.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unnecessary_wraps,
    clippy::wildcard_enum_match_arm,
    reason = "a test of real processes in real time, which says no more by returning an error, and \
              cares for a few of many states"
)]

mod calm;
mod chaos;
mod clock;
mod journal;
mod keeper;
mod load;
mod measure;
mod plan;
#[path = "../it/harness/postgres_binaries.rs"]
#[expect(dead_code, reason = "the harness of the other tests needs more of it")]
mod postgres_binaries;
mod provider;
mod scene;
mod tally;
mod verdict;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use journal::Did;
use keeper::Keeper;
use load::Load;
use plan::{Engine, Plan};
use provider::Weather;
use scene::Scene;
use verdict::Verdict;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("keeper") => keeper::run(),
        Some("provider") => runtime().block_on(provider::run(&arguments[1..])),
        Some("judge") => return judge(&arguments[1..]),
        _ => return drive(),
    }
    ExitCode::SUCCESS
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be made")
}

/// Judges journals that were kept.
fn judge(directories: &[String]) -> ExitCode {
    verdict::selfcheck::run();
    let mut code = ExitCode::SUCCESS;
    for directory in directories {
        println!("{directory}");
        let verdict = Verdict::of(Path::new(directory));
        verdict.print();
        for offence in verdict.offences() {
            println!("  offence: {offence}");
            code = ExitCode::FAILURE;
        }
    }
    code
}

fn drive() -> ExitCode {
    let plan = Plan::from_environment();
    verdict::selfcheck::run();
    println!(
        "storm: STORM_SEED={} STORM_SECONDS={}, {} users, {} daemons with {} turns under way each",
        plan.seed,
        plan.length.as_secs(),
        plan.users,
        plan.daemons,
        plan.workers
    );
    let keeper = Keeper::start();
    let mut offences = Vec::new();
    for engine in &plan.engines {
        let directory = directory();
        let path = directory.path().to_owned();
        println!("\n{} ({})", engine.name(), path.display());
        let found = on_engine(&plan, *engine, &path, keeper.clone());
        if found.is_empty() {
            continue;
        }
        let kept = directory.keep();
        println!("  journals and logs are kept in {}", kept.display());
        offences.extend(
            found
                .into_iter()
                .map(|found| format!("{}: {found}", engine.name())),
        );
    }
    drop(keeper);
    println!();
    for offence in &offences {
        println!("  {offence}");
    }
    match offences.len() {
        0 => {
            println!("storm: passed");
            ExitCode::SUCCESS
        }
        count => {
            println!(
                "storm: failed: {count} offences, the first: {}",
                offences[0]
            );
            ExitCode::FAILURE
        }
    }
}

/// A directory that PostgreSQL's account may pass through.
fn directory() -> TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::Builder::new().prefix("storm-").tempdir();
    let directory = directory.expect("a temporary directory can be made");
    let mode = std::fs::Permissions::from_mode(0o711);
    std::fs::set_permissions(directory.path(), mode).expect("its mode can be set");
    directory
}

/// One storm; what is wrong.
fn on_engine(plan: &Plan, engine: Engine, directory: &Path, keeper: Keeper) -> Vec<String> {
    let runtime = runtime();
    let plan = plan.clone();
    let path = directory.to_owned();
    let deadline = plan.length + Duration::from_mins(4);
    let quick = plan.quick;
    let outcome = runtime.block_on(async move {
        let storm = tokio::spawn(Box::pin(storm(plan, engine, path, keeper)));
        tokio::select! {
            ended = storm => ended.map_err(|error| format!("it broke off: {error}")),
            () = tokio::time::sleep(deadline) => Err("it did not end in time".to_owned()),
            () = interrupted() => Err("it was interrupted".to_owned()),
        }
    });
    // Ends what still runs, and with it the last owners of the scene.
    runtime.shutdown_timeout(Duration::from_secs(10));
    match outcome {
        Err(why) => vec![why],
        Ok(mut offences) => {
            let verdict = Verdict::of(directory);
            verdict.print();
            offences.extend(verdict.offences());
            if !quick && verdict.facts.ahead() == 0 {
                offences.push("nothing was renewed without being asked for".to_owned());
            }
            offences
        }
    }
}

async fn interrupted() {
    let kind = tokio::signal::unix::SignalKind::terminate();
    let mut terminated = tokio::signal::unix::signal(kind).expect("signals can be heard");
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated.recv() => {}
    }
}

async fn storm(
    plan: Plan,
    engine: Engine,
    directory: std::path::PathBuf,
    keeper: Keeper,
) -> Vec<String> {
    let scene = Arc::new(Box::pin(Scene::set(&plan, engine, &directory, keeper)).await);
    let load = Load::new(Arc::clone(&scene));
    load.connect_lasting().await;
    let measured = Box::pin(measure::measure(&scene)).await;
    println!(
        "  ten expired credentials, {} daemons: redemptions {:?}, wall {:?} ms, one upstream round trip \
         {:?}; in round trips the fastest {:.2}, the median {:.2}",
        plan.daemons,
        measured
            .rounds
            .iter()
            .map(|(count, _)| *count)
            .collect::<Vec<_>>(),
        measured
            .rounds
            .iter()
            .map(|(_, wall)| wall.as_millis())
            .collect::<Vec<_>>(),
        measured.trip,
        measured.fastest(),
        measured.median()
    );
    load.connect_others().await;

    scene.outside.weather(Weather::Storm).await;
    scene.outside.journal.write(Did::StormBegins);
    let workers = load.start();
    chaos::rage(&scene).await;
    load.stop();
    scene.outside.journal.write(Did::StormEnds);
    workers.join_all().await;
    calm::settle(&scene).await;

    let most = load.tally.most_in_flight();
    println!("  calls under way at most            {most}");
    for (what, count) in load.tally.counts() {
        println!("  {what:<34} {count}");
    }
    let mut offences = measured.offences();
    for replica in &scene.replicas {
        if replica.has_ended() {
            offences.push(format!("replica {} ended by itself", replica.number));
        }
    }
    offences
}
