//! Measures what earlier generations keep, their code that is never unmapped and what it has left on the heap, and decides
//! when it is so much that the host must restart.
//!
//! Where the system does not provide the numbers, nothing is shown and there is no limit.
//! Measures after a reload, never during one.

use std::{collections::HashSet, path::Path, time::Duration};

use procfs::{
    ProcResult,
    process::{MMapPath, Process},
};
use tokio::{task::spawn_blocking, time};

use super::{Reload, publish::LIVE};
use crate::{
    events::{Images, Phase},
    generation::Stage,
};

/// Growth of the heap that is not held against old code: caches, and what the allocator keeps for later.
const HEAP_ALLOWANCE_KB: u64 = 64 << 10;

/// How often to check whether the host is idle, while waiting for that.
const POLL: Duration = Duration::from_millis(50);

impl Reload {
    /// Measures, and returns once the memory exceeds the budget and the host is idle; otherwise never returns. The
    /// caller drops the future on a save.
    ///
    /// Idle means that no generation has a request and none is draining. A stream may never end, so this waits for at
    /// most `DRAIN_TIMEOUT_MS`; the restart then ends streams as any restart does.
    pub(super) async fn over_budget(&self) -> Images {
        let phase = self.report.borrow().phase;
        // Nothing was loaded, and reading the memory map of a process with thousands of images is slow.
        if phase == Phase::BuildFailed {
            return std::future::pending().await;
        }
        let images = self.measured().await;
        // The live image is loaded again by the new process, so it alone must not cause a restart: that would loop.
        // And if the latest save is not live, the new process would have nothing to serve.
        if !self.is_past_budget(images) || images.kept < 2 || phase != Phase::Active {
            return std::future::pending().await;
        }
        let limit = self.services.settings.borrow().env.drain_timeout;
        let idle = async {
            while !self.is_idle() {
                time::sleep(POLL).await;
            }
        };
        if time::timeout(limit, idle).await.is_err() {
            tracing::debug!("no moment of rest within {} ms", limit.as_millis());
        }
        // The generation before was still there, with all that it will give back.
        let images = self.measured().await;
        if !self.is_past_budget(images) {
            return std::future::pending().await;
        }
        if let Err(error) = self.may_restart() {
            tracing::warn!(
                "{images}; a restart would fail: {error}; trying again after the next reload"
            );
            return std::future::pending().await;
        }
        images
    }

    /// Never returns where the system does not say.
    async fn measured(&self) -> Images {
        let folder = self.root().join(LIVE);
        // Blocking, so not on a runtime thread.
        let (kept, code_kb, anonymous_kb) = match spawn_blocking(move || measure(&folder)).await {
            Ok(Ok(measured)) => measured,
            unknown => {
                tracing::debug!("what kept code uses is not known: {unknown:?}");
                return std::future::pending().await;
            }
        };
        let beside_code = anonymous_kb.saturating_sub(code_kb);
        let first = *self.first_heap_kb.get_or_init(|| beside_code);
        let grown = beside_code.saturating_sub(first);
        let images = Images {
            kept,
            code_kb,
            heap_kb: grown.saturating_sub(HEAP_ALLOWANCE_KB),
        };
        self.report
            .send_modify(|report| report.images = Some(images));
        images
    }

    fn is_past_budget(&self, images: Images) -> bool {
        self.keep_memory_mb
            .is_some_and(|budget| images.memory_kb() > budget << 10)
    }

    fn is_idle(&self) -> bool {
        let (_, generations) = self.services.generations.snapshots();
        generations
            .iter()
            .all(|generation| generation.in_flight == 0 && generation.state != Stage::Draining)
    }
}

/// Measures the private memory of the images in `folder`: pages that relocation or the app has written to, resident or
/// swapped out. All other pages are backed by the file, and the system can reclaim them.
///
/// Also returns the anonymous memory of the whole process, in kilobytes too: what old code has allocated and never gives
/// back, such as a value in a static, is in there.
fn measure(folder: &Path) -> ProcResult<(usize, u64, u64)> {
    let (mut images, mut bytes) = (HashSet::new(), 0);
    let me = Process::myself()?;
    let status = me.status()?;
    for mapping in me.smaps()? {
        let MMapPath::Path(path) = mapping.pathname else {
            continue;
        };
        if path.starts_with(folder) {
            // The name of an older image ends with " (deleted)".
            images.insert(path);
            let of = |field| {
                mapping
                    .extension
                    .map
                    .get(field)
                    .copied()
                    .unwrap_or_default()
            };
            bytes += of("Anonymous") + of("Swap");
        }
    }
    let anonymous = status.rssanon.unwrap_or_default() + status.vmswap.unwrap_or_default();
    Ok((images.len(), bytes >> 10, anonymous))
}
