//! What a call gets while others make the value, fail to, or have made another one.

use std::{
    error::Error as _,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::{
    runtime::Runtime,
    sync::{Notify, oneshot},
};

use super::*;

/// Refuses what is named like an app's, and makes values on a runtime of its own.
struct Fake(Option<Runtime>);

impl Drop for Fake {
    fn drop(&mut self) {
        // A runtime must not be dropped in async code.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Keeper for Fake {
    fn runtime(&self) -> io::Result<Handle> {
        let runtime = self.0.as_ref();
        Ok(runtime.expect("it is there until the end").handle().clone())
    }

    fn refuses(&self, type_name: &'static str) -> BoxFuture<'_, Option<String>> {
        let is_own = type_name.contains("Own");
        Box::pin(async move { is_own.then(|| "it may differ".to_owned()) })
    }
}

fn kept() -> Kept {
    Kept::new(Fake(Some(Runtime::new().expect("threads"))))
}

async fn number(kept: &Kept, generation: u64, number: u64) -> Result<Arc<u64>, KeepError> {
    kept.get("number", generation, move || async move { Ok(number) })
        .await
}

#[tokio::test]
async fn a_value_is_made_once_for_all_generations_until_it_is_forgotten() {
    let kept = kept();
    let first = number(&kept, 1, 7).await.expect("it is made");
    let again = number(&kept, 2, 8).await.expect("it is there");
    assert!(Arc::ptr_eq(&first, &again));
    let [shown] = &kept.list()[..] else {
        panic!("one value: {kept:?}");
    };
    assert_eq!((&*shown.name, shown.type_name), ("number", "u64"));
    assert_eq!((shown.generation, shown.made), (1, true));

    let other = kept.get("number", 2, || async { Ok(String::new()) }).await;
    let message = "keep(\"number\"): this is a u64, made by generation 1, and not a alloc::string::String: use another name, or drop the value on the dashboard";
    assert_eq!(other.expect_err("another type").to_string(), message);

    assert!(kept.forget("number") && !kept.forget("number"));
    assert!(kept.list().is_empty());
    assert_eq!(*number(&kept, 2, 8).await.expect("it is made"), 8);
    assert_eq!(*first, 7, "whoever has it keeps it");
}

#[tokio::test]
async fn a_maker_that_fails_or_panics_leaves_no_trace() {
    let kept = kept();
    let failed = kept.get::<u64, _, _>("number", 1, || async { Err("no luck".into()) });
    let failed = failed.await.expect_err("it fails");
    assert_eq!(failed.source().expect("it says why").to_string(), "no luck");
    let before_it_awaits = || -> std::future::Ready<Result<u64, BoxError>> { panic!("at once") };
    let panicked = kept.get("number", 1, before_it_awaits).await;
    let message = "keep(\"number\"): making the value panicked: at once";
    assert_eq!(panicked.expect_err("it panics").to_string(), message);
    assert!(kept.list().is_empty());
    number(&kept, 1, 7).await.expect("it is made");
}

#[tokio::test]
async fn a_type_that_the_dev_server_refuses_is_fine_where_there_is_none() {
    struct Own;
    let refused = kept().get("own", 1, || async { Ok(Own) }).await;
    let message = refused.err().expect("it is refused").to_string();
    assert!(message.starts_with("keep(\"own\"): a "), "{message}");
    assert!(
        message.ends_with("::Own cannot outlive its generation: it may differ"),
        "{message}"
    );
    let production = Kept::default();
    let made = production.get("own", 1, || async { Ok(Own) }).await;
    assert!(made.is_ok() && production.forget("own"));
}

#[tokio::test]
async fn calls_at_the_same_time_wait_for_one_maker() {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let (kept, open) = (kept(), Arc::<Notify>::default());
    let call = || {
        let (kept, open) = (kept.clone(), open.clone());
        tokio::spawn(async move {
            let make = || async move {
                open.notified().await;
                Ok(MADE.fetch_add(1, Relaxed))
            };
            kept.get("number", 1, make).await.expect("it is made")
        })
    };
    let calls = [call(), call(), call()];
    while kept.list().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(!kept.list()[0].made && !kept.forget("number"));
    open.notify_one();
    for call in calls {
        assert_eq!(*call.await.expect("no panic"), 0);
    }
}

/// Against hanging only.
async fn soon<T>(answer: impl Future<Output = T>) -> T {
    let answer = tokio::time::timeout(Duration::from_secs(60), answer);
    answer.await.expect("an answer")
}

/// A maker that never ends; the sender is gone once it is.
fn hung(
    kept: &Kept,
    generation: u64,
) -> (
    tokio::task::JoinHandle<Result<Arc<u64>, KeepError>>,
    oneshot::Receiver<()>,
) {
    let (kept, (held, gone)) = (kept.clone(), oneshot::channel());
    let make = || async move {
        let _held: oneshot::Sender<()> = held;
        std::future::pending().await
    };
    let call = tokio::spawn(async move { kept.get("number", generation, make).await });
    (call, gone)
}

async fn is_being_made(kept: &Kept) {
    while kept.list().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_maker_ends_with_its_call_and_the_next_in_line_has_its_turn() {
    let kept = kept();
    let (call, gone) = hung(&kept, 1);
    is_being_made(&kept).await;
    let next = tokio::spawn({
        let kept = kept.clone();
        async move { number(&kept, 1, 8).await }
    });
    call.abort();
    soon(gone).await.expect_err("the maker is gone");
    let value = soon(next).await.expect("no panic").expect("it is made");
    assert_eq!(*value, 8);
}

#[tokio::test]
async fn newer_code_does_not_wait_for_an_older_maker_but_older_code_for_a_newer_one() {
    let kept = kept();
    let (old, gone) = hung(&kept, 1);
    is_being_made(&kept).await;
    let value = soon(number(&kept, 2, 8)).await.expect("it is made");
    soon(gone).await.expect_err("the old maker is gone");
    let olds = soon(old).await.expect("no panic").expect("it is made");
    assert!(Arc::ptr_eq(&value, &olds), "the old call gets it too");

    assert!(kept.forget("number"));
    let (old, _gone) = hung(&kept, 1);
    is_being_made(&kept).await;
    let failed = kept.get::<u64, _, _>("number", 2, || async { Err("no luck".into()) });
    soon(failed).await.expect_err("it fails");
    let old = soon(old)
        .await
        .expect("no panic")
        .expect_err("there is none");
    let source = old.source().expect("it says why").to_string();
    assert_eq!(source, "newer code took over, and failed");
    assert!(kept.list().is_empty());
}
