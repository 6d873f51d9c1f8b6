/// Why the store could not do as asked. Texts are RocksDB's own: they name files and states, never values.
package enum StoreError: Error, Equatable, Sendable {
  /// Another process, or another open `Store` in this one, holds the directory.
  case inUse(path: String)
  /// No store is at the path, and none was to be created.
  case notFound(path: String)
  /// The disk or its quota is full. The write did not happen; see `Store.reopen()`.
  case noSpace
  /// Bytes on disk are not what was written.
  case corruption(String)
  /// The files were written by a later version of RocksDB.
  case formatTooNew(String)
  /// The store has an earlier format, which only a writer can bring to this one.
  case formatTooOld(String)
  /// The operating system refused, or an earlier refusal left the store refusing writes; see `Store.reopen()`.
  case io(String)
  /// RocksDB refused the arguments: a fault of the caller.
  case invalid(String)
  /// The store has no column family of this name.
  case unknownFamily(String)
  /// The log of changes does not reach back as far as was asked.
  case logGap(String)
  /// The writer kept changing its files while a secondary reader was opening them.
  case busy
  /// A write was asked of a store opened for reading only.
  case readOnly
  /// A value could not be sealed or opened by the store's guard; the text names family and reason, never content.
  case sealed(String)
  /// The store has been closed.
  case closed
}

extension StoreError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .inUse(let path): "the store at \(path) is in use by another process"
    case .notFound(let path): "no store at \(path)"
    case .noSpace: "no space left for the store"
    case .corruption(let text): "the store is damaged: \(text)"
    case .formatTooNew(let text): "the store was written by a later version: \(text)"
    case .formatTooOld(let text): "the store was written by an earlier version: \(text)"
    case .io(let text): "the store cannot be read or written: \(text)"
    case .invalid(let text): "the store refused its arguments: \(text)"
    case .unknownFamily(let name): "the store has no column family \(name)"
    case .logGap(let text): "the log of changes does not reach back that far: \(text)"
    case .busy: "the store is changing too fast to be read beside its writer"
    case .readOnly: "the store is open for reading only"
    case .sealed(let text): "the store's encryption: \(text)"
    case .closed: "the store is closed"
    }
  }
}

extension StoreError {
  /// The typed form of a RocksDB status text: its C interface gives no codes, only `Status::ToString()`.
  init(status text: String, path: String) {
    func says(_ words: String) -> Bool { text.contains(words) }
    if says("No space left on device") || says("Max allowed space was reached") || says("Disk quota exceeded") {
      self = .noSpace
    } else if says("lock hold by current process")
      || says("While lock file") && (says("Resource temporarily unavailable") || says("No locks available"))
    {
      self = .inUse(path: path)
    } else if says("does not exist (") {
      self = .notFound(path: path)
    } else if says("newer version of RocksDB") || says("unsupported format_version")
      || says("Unsupported BlockBasedTable") || text.hasPrefix("Not implemented:")
    {
      self = .formatTooNew(text)
    } else if text.hasPrefix("Corruption:") {
      self = .corruption(text)
    } else if text.hasPrefix("Invalid argument:") {
      self = .invalid(text)
    } else {
      self = .io(text)
    }
  }
}
