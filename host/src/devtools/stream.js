// One event stream for all tabs. A browser opens at most six connections to a host and a stream occupies one, so with
// six pages open a seventh would never load.
//
// One of the visible tabs leads: it has the stream and forwards its messages. A browser lock decides which one, and
// passes to another tab when the leader is closed, hidden or reloaded. A tab that joins requests one message with the
// current state, and a new leader gets one for all tabs, so none misses anything. A hidden tab leaves, and joins again
// when it becomes visible. Where there are no locks (plain HTTP to another machine, a sandboxed frame) each visible tab
// has its own stream.

// Calls `hear` with the current state and whenever it changes, and `lose` when the stream breaks off. Returns a
// function for a page that is about to reload: it pauses the stream, so that the page does not become leader just
// before it goes.
function subscribe(url, hear, lose = () => {}) {
  let leave = null;
  const joinOrLeave = () => {
    leave?.();
    leave = document.hidden ? null : join(url, hear, lose);
  };
  document.addEventListener("visibilitychange", joinOrLeave);
  addEventListener("pagehide", () => leave?.());
  addEventListener("pageshow", ({ persisted }) => persisted && joinOrLeave()); // restored by the Back button
  joinOrLeave();
  return () => {
    leave?.();
    setTimeout(joinOrLeave, 2000); // the user may cancel the reload
  };
}

// Follows the stream until the function it returns is called.
function join(url, hear, lose) {
  const left = new AbortController();
  const others = navigator.locks ? new BroadcastChannel(url) : null;
  let leads = !others;
  let updatedByLeader = false; // the leader has sent something newer than our own request
  let source = null;
  let retry = null;
  const open = () => {
    // With `?once` the host ends the stream: Chromium keeps the connection of a stream that the page closes for another
    // five seconds.
    source = new EventSource(leads ? url : `${url}?once`);
    source.onmessage = ({ data }) => {
      if (leads) others?.postMessage({ data });
      else source.close();
      if (leads || !updatedByLeader) hear(data);
    };
    source.onerror = () => {
      if (leads) others?.postMessage({ lost: true });
      // The browser retries by itself, unless the response was not a stream.
      if (source.readyState === EventSource.CLOSED) retry = setTimeout(open, 1000);
      lose();
    };
  };
  const close = () => {
    clearTimeout(retry);
    source.close();
  };
  // The lock is held until this promise resolves.
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
      updatedByLeader = true;
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
