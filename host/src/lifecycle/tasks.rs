//! Ends tasks: aborts them and waits until they are gone, since an abort alone only asks. Refuses to wait for ever.

use std::time::Duration;

use tokio::{
    task::{JoinHandle, JoinSet},
    time::timeout,
};

/// How long a task may take to its next await. It is a few microseconds; a task that takes longer is named and left to
/// the end of the runtime.
const LIMIT: Duration = Duration::from_secs(1);

/// Ends `task`, unless it has ended by itself.
pub(crate) async fn end<T>(what: &str, task: &mut JoinHandle<T>) {
    // The result of a task that has ended may have been taken, and cannot be awaited twice.
    if task.is_finished() {
        return;
    }
    task.abort();
    if timeout(LIMIT, task).await.is_err() {
        left(what);
    }
}

/// Ends all of `tasks`.
pub(crate) async fn end_all(what: &str, tasks: &mut JoinSet<()>) {
    if timeout(LIMIT, tasks.shutdown()).await.is_err() {
        left(what);
    }
}

fn left(what: &str) {
    tracing::warn!("{what} did not end within {} s", LIMIT.as_secs());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    };

    /// Takes a while to go.
    struct Slow(Arc<AtomicUsize>);

    impl Drop for Slow {
        fn drop(&mut self) {
            std::thread::sleep(Duration::from_millis(20));
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_task_is_gone_once_it_was_ended() {
        let gone = Arc::<AtomicUsize>::default();
        let endless = || {
            let slow = Slow(gone.clone());
            async move {
                let _slow = slow;
                std::future::pending::<()>().await;
            }
        };
        let mut one = tokio::spawn(endless());
        end("one", &mut one).await;
        assert_eq!(gone.load(Relaxed), 1);
        end("one, again", &mut one).await;
        let mut two: JoinSet<()> = [endless(), endless()].into_iter().collect();
        end_all("two", &mut two).await;
        assert_eq!(gone.load(Relaxed), 3);
    }
}
