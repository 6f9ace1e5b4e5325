//! What must be there before anything runs: settings, the checkout for ourselves, a socket, a database.
//!
//! Everything that can stop the start is here, and stops it with one message.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Instant,
};

use shared::{BoxError, env::Env};

use super::{
    connection::{Connection, application_name},
    database::Database,
    mode::Mode,
    options::Options,
    project::{Lock, Project},
    schema::Schema,
    terminal,
};
use crate::{
    restart::{Carried, Image},
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
    pub(super) database: Database,
    /// Released after the database has stopped, so that no host takes its server for an orphan's.
    pub(super) lock: Lock,
}

impl Start {
    /// From the main thread, which a private cluster is tied to.
    pub(super) fn new(options: Options) -> Result<Self, BoxError> {
        let since = Instant::now();
        let carried = Carried::take();
        let project = Project::find()?;
        // From whichever folder it was started: places in backtraces, and files that the app opens, are found from here.
        std::env::set_current_dir(project.root())?;
        let env = Arc::new(settings::read(project.dotenv()?, &options.flags)?);
        if let Some(unread) = env.unread() {
            terminal::line(format_args!("{unread}"));
        }
        let image = Image::of_this_process()?;
        let lock = project.lock()?;

        let listener = match listen::inherited()? {
            Some(listener) => listener,
            None => listen::bind(env.host, env.port)?,
        };
        let address = listener.local_addr()?;
        lock.announce(address)?;

        let mode = match carried.mode {
            Some(switches) => options.mode.switched(switches),
            None => options.mode,
        };
        let database = Database::find_or_start(&project, &env, mode.max_connections())?;
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

    /// Makes ready what uses the database, and brings its schema up to date.
    pub(super) async fn connect(&self) -> Result<(Connection, Arc<Schema>), BoxError> {
        let name = application_name(&self.carried);
        let connection = Connection::prepare(&self.database, &self.env, self.mode, name).await?;
        let schema = Schema::new(
            self.project.clone(),
            self.options.migrate,
            connection.db.clone(),
            !self.mode.is_demonstration(),
            (self.database.url(), self.env.clone()),
        );
        schema.follow().await?;
        Ok((connection, schema))
    }
}
