//! What must exist before anything runs: settings, the project's lock, a socket, a database location.
//!
//! Problems that only the user can fix stop the start here, with one message. Temporary ones, such as a server that
//! does not answer, are waited for later, while the host already answers requests.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Instant,
};

use shared::{BoxError, env::Env};

use super::{
    database::Database,
    mode::Mode,
    options::Options,
    project::{Lock, Project},
    terminal,
};
use crate::{
    restart::{Carried, Image, Inherited},
    serve::listen,
    settings,
};

/// Everything needed to start the host.
pub(super) struct Start {
    pub(super) since: Instant,
    pub(super) options: Options,
    /// From the previous image of this process.
    pub(super) carried: Carried,
    pub(super) project: Project,
    pub(super) env: Arc<Env>,
    /// The host's own files, recorded before they could change.
    pub(super) image: Image,
    /// From here on no connection is refused: the kernel queues them.
    pub(super) listener: TcpListener,
    pub(super) address: SocketAddr,
    pub(super) mode: Mode,
    /// Not started yet.
    pub(super) database: Database,
    /// Released after the database has stopped, so that a new host does not mistake its server for an orphan.
    pub(super) lock: Lock,
}

impl Start {
    pub(super) fn new(options: Options) -> Result<Self, BoxError> {
        let since = Instant::now();
        let Inherited { listener, carried } = Inherited::take().map_err(|error| {
            format!("cannot use what the process before the restart left: {error}")
        })?;
        let project = Project::find()?;
        // Paths in backtraces and files that the app opens are relative to the root, wherever the host was started.
        std::env::set_current_dir(project.root())?;
        let env = Arc::new(settings::read(project.dotenv()?, &options.flags)?);
        if let Some(unread) = env.unread() {
            terminal::line(format_args!("{unread}"));
        }
        let image = Image::of_this_process()?;
        let lock = project.lock()?;

        let listener = match listener {
            Some(listener) => listener,
            None => listen::bind(env.host, env.port)?,
        };
        let address = listener.local_addr()?;
        lock.announce(address)?;

        let mode = match carried.mode {
            Some(switches) => options.mode.with_switches(switches),
            None => options.mode,
        };
        let database = Database::find(&project, &env, mode.max_connections())?;
        Ok(Self {
            since,
            options,
            carried,
            project,
            env,
            image,
            listener,
            address,
            mode,
            database,
            lock,
        })
    }
}
