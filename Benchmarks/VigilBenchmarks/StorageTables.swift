import AlertJournal
import ChunkCoding
import Glibc
import KeyValueStore
import SeriesStore
import VitalModel

/// Chunks in table files of the product's own store.
enum StorageTables {
  /// Bytes of the table files of family `chunks` once everything lies at the bottom: index, filter and keys included.
  ///
  /// The product's reader then counts what is there, so that keys of another form, or fewer samples, fail.
  ///
  /// - Parameter key: of an encrypted store: each value is sealed under a key of its patient's.
  static func bytes(
    _ chunks: [(rows: ChunkRows, bytes: [UInt8])], folder: String, key: MasterKey? = nil
  ) throws -> Int {
    let store = try VigilStore.open(path: folder, key: key)
    defer {
      store.close()
      StorageFolder.remove(folder)
    }
    let batch = store.makeBatch()
    for (number, chunk) in chunks.enumerated() {
      batch.put(store.families.chunks, key: place(chunk.rows), value: chunk.bytes)
      if number % 256 == 255 || number == chunks.count - 1 {
        try store.write(batch, sync: false)
        batch.clear()
      }
    }
    try store.store.flush(store.families.chunks)
    try store.store.compactRange(store.families.chunks, rewriteAll: true)
    let stored = try SeriesReader(store.store).stats(verify: false).samples
    let given = chunks.reduce(0) { $0 + $1.rows.cellCount }
    guard stored == given else { throw StorageTablesError.missing(given - stored) }
    return Int(try store.store.liveFileBytes(store.families.chunks))
  }

  /// As `docs/formats/chunk.md` says: patient, device, first event time, first position.
  private static func place(_ rows: ChunkRows) -> [UInt8] {
    var key = KeyBuilder(capacity: 24)
    key.append(rows.patient)
    key.append(rows.device)
    key.append(rows.times.first ?? 0)
    key.append(rows.firstPosition)
    return key.bytes
  }
}

enum StorageTablesError: Error, CustomStringConvertible {
  case missing(Int)
  var description: String {
    switch self {
    case .missing(let samples): "\(samples) samples are missing from the table files"
    }
  }
}

/// Temporary folders, below TMPDIR.
enum StorageFolder {
  static func make() throws -> String {
    let base = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array("\(base)/vigil-storage-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw StorageFolderError(path: base) }
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// A folder with the files in it, and their folders.
  static func remove(_ path: String) {
    for name in names(path) {
      let inner = path + "/" + name
      if unlink(inner) != 0 { remove(inner) }
    }
    rmdir(path)
  }

  static func names(_ path: String) -> [String] {
    guard let directory = opendir(path) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// Bytes of all files below a folder.
  static func bytes(_ path: String) -> Int {
    names(path).reduce(0) { total, name in
      var status = stat()
      guard lstat(path + "/" + name, &status) == 0 else { return total }
      return total + (status.st_mode & S_IFMT == S_IFDIR ? bytes(path + "/" + name) : Int(status.st_size))
    }
  }
}

struct StorageFolderError: Error, CustomStringConvertible {
  let path: String
  var description: String { "no temporary folder can be made in \(path); set TMPDIR to one that is writable" }
}
