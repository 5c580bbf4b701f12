(() => {
  const { handshake, outcome, origin } = document.currentScript.dataset;
  if (!window.opener) return;
  window.opener.postMessage({ type: "stationmaster:handshake", handshake, outcome }, origin);
  window.close();
})();
