//! Measures the memory of code that is never unmapped, and decides when it is so much that the host must restart.
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
        let folder = self.root().join(LIVE);
        // Blocking, so not on a runtime thread.
        let images = match spawn_blocking(move || measure(&folder)).await {
            Ok(Ok(images)) => images,
            unknown => {
                tracing::debug!("what kept code uses is not known: {unknown:?}");
                return std::future::pending().await;
            }
        };
        self.report
            .send_modify(|report| report.images = Some(images));
        let past = self
            .keep_memory_mb
            .is_some_and(|budget| images.memory_kb > budget << 10);
        // The live image is loaded again by the new process, so it alone must not cause a restart: that would loop.
        // And if the latest save is not live, the new process would have nothing to serve.
        if !past || images.kept < 2 || phase != Phase::Active {
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
        if let Err(error) = self.may_restart() {
            tracing::warn!(
                "{images}; a restart would fail: {error}; trying again after the next reload"
            );
            return std::future::pending().await;
        }
        images
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
/// Measured per image and not as growth of the process, which includes caches of the app: they are not old code, and
/// may be back right after a restart. Mappings without a name are not included: large zeroed statics and the loader's
/// own data.
fn measure(folder: &Path) -> ProcResult<Images> {
    let (mut images, mut bytes) = (HashSet::new(), 0);
    for mapping in Process::myself()?.smaps()? {
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
    Ok(Images {
        kept: images.len(),
        memory_kb: bytes >> 10,
    })
}
