//! What must be there before anything runs: settings, the checkout for ourselves, a socket, a place for the database.
//!
//! What only a person can put right stops the start here, with one message. What may pass, such as a server that does
//! not answer, is waited for later, while the host answers already.

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

/// A host that could run.
pub(super) struct Start {
    pub(super) since: Instant,
    pub(super) options: Options,
    /// From the image before.
    pub(super) carried: Carried,
    pub(super) project: Project,
    pub(super) env: Arc<Env>,
    /// The host's own files, looked at before anything could change them.
    pub(super) image: Image,
    /// Nobody connects in vain from here on: the kernel queues.
    pub(super) listener: TcpListener,
    pub(super) address: SocketAddr,
    pub(super) mode: Mode,
    /// Not started.
    pub(super) database: Database,
    /// Released after the database has stopped, so that no host takes its server for an orphan's.
    pub(super) lock: Lock,
}

impl Start {
    pub(super) fn new(options: Options) -> Result<Self, BoxError> {
        let since = Instant::now();
        let Inherited { listener, carried } = Inherited::take().map_err(|error| {
            format!("cannot use what the process before the restart left: {error}")
        })?;
        let project = Project::find()?;
        // From whichever folder it was started: places in backtraces, and files that the app opens, are found from here.
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
            Some(switches) => options.mode.switched(switches),
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
