// Lists of the server, live: asks for the page again when there is more, and takes over what is new. The filter stays with
// the server.

// `newestOf` says the newest of a status, and `takeOver` gets the list of the page as it is now.
function followed(id, newestOf, takeOver) {
  let newest = null; // of those that the list was asked for
  let asking = false;
  return async (status) => {
    const now = newestOf(status);
    newest ??= Number(get(id).dataset.newest);
    if (asking || now === newest) return;
    asking = true;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (!answer.ok) return;
      takeOver(new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(id));
      newest = now;
    } catch {
      // The next message tries again.
    } finally {
      asking = false;
    }
  };
}
