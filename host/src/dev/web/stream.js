// One stream of news for all tabs. A browser opens six connections to a host and a stream keeps one, so with a stream
// in each of six pages a seventh would never load.
//
// Of the visible tabs one leads: it has the stream and passes on what comes. A lock of the browser says which one, and
// goes to the next when that tab is closed, hidden or reloaded. A tab that joins asks for one message, the state of now,
// and so does every new leader, for all: nobody misses anything. A hidden tab
// leaves, and joins again when it is looked at. Where there are no locks (plain HTTP to another machine, a sandboxed
// frame) each visible tab keeps a stream of its own.

// Calls `hear` with the state now and whenever it changes, and `lose` when the stream breaks off. Returns a function
// for a page that is about to reload: it pauses, so as not to take the lead and give it up at once.
function follow(url, hear, lose = () => {}) {
  let leave = null;
  const turn = () => {
    leave?.();
    leave = document.hidden ? null : join(url, hear, lose);
  };
  document.addEventListener("visibilitychange", turn);
  addEventListener("pagehide", () => leave?.());
  addEventListener("pageshow", ({ persisted }) => persisted && turn()); // with the Back button, as it was
  turn();
  return () => {
    leave?.();
    setTimeout(turn, 2000); // somebody may refuse the reload
  };
}

// Follows the stream until the function it returns is called.
function join(url, hear, lose) {
  const left = new AbortController();
  const others = navigator.locks ? new BroadcastChannel(url) : null;
  let leads = !others;
  let told = false; // by the leader, later than we have asked
  let source = null;
  let retry = null;
  const open = () => {
    // One that the host ends: Chromium keeps the connection of a stream that we end for another five seconds.
    source = new EventSource(leads ? url : `${url}?once`);
    source.onmessage = ({ data }) => {
      if (leads) others?.postMessage({ data });
      else source.close();
      if (leads || !told) hear(data);
    };
    source.onerror = () => {
      if (leads) others?.postMessage({ lost: true });
      // The browser tries again by itself, unless the answer was no stream.
      if (source.readyState === EventSource.CLOSED) retry = setTimeout(open, 1000);
      lose();
    };
  };
  const close = () => {
    clearTimeout(retry);
    source.close();
  };
  // The lock is held until this promise is fulfilled.
  const lead = () =>
    new Promise((leave) => {
      if (left.signal.aborted) return leave();
      left.signal.addEventListener("abort", leave);
      leads = true;
      close();
      open();
    });
  open();
  if (others) {
    others.onmessage = ({ data: { data, lost } }) => {
      if (leads) return;
      told = true;
      if (lost) lose();
      else hear(data);
    };
    navigator.locks.request(url, { signal: left.signal }, lead).catch(lead);
  }
  return () => {
    left.abort();
    others?.close();
    close();
  };
}
