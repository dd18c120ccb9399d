// Search on pages that are opened as files, where browsers start no worker: the worker's script runs in a hidden frame.
// The theme asks for a class of this name; the one that it would fetch by itself comes from another host.
if (location.protocol === "file:") {
  window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super()
      this.waiting = []
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.appendChild(frame)
      this.inside = frame.contentWindow
      this.inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
      const load = source => new Promise((done, failed) => {
        const script = this.inside.document.createElement("script")
        script.src = source
        script.onload = done
        script.onerror = failed
        this.inside.document.body.appendChild(script)
      })
      this.inside.importScripts = async (...sources) => { for (const source of sources) await load(source) }
      // What is said before the script listens is kept for it.
      load(new URL(url, document.baseURI).href).then(() => {
        const waiting = this.waiting
        this.waiting = null
        waiting.forEach(data => this.postMessage(data))
      })
    }
    postMessage(data) {
      if (this.waiting) this.waiting.push(data)
      else this.inside.dispatchEvent(new MessageEvent("message", { data }))
    }
    terminate() { this.inside.frameElement.remove() }
  }
  window.Worker = window.IFrameWorker
}
