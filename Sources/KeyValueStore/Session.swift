import CRocksDB
import Glibc

/// One opening of a RocksDB directory: the database and its column-family handles, closed when the last user lets go.
///
/// `Store` holds it, and so does every iterator and snapshot, so that none of them can outlive the memory it reads.
///
/// `@unchecked Sendable`: the stored pointers never change, and RocksDB allows every call made through them from any
/// thread.
final class Session: @unchecked Sendable {
  let database: OpaquePointer
  /// Handles by `Family.index`.
  let handles: [OpaquePointer]
  let names: [String]
  let path: String
  let readOptions: OpaquePointer
  let syncedWrite: OpaquePointer
  let unsyncedWrite: OpaquePointer

  private init(database: OpaquePointer, handles: [OpaquePointer], names: [String], path: String) {
    self.database = database
    self.handles = handles
    self.names = names
    self.path = path
    readOptions = rocksdb_readoptions_create()
    syncedWrite = rocksdb_writeoptions_create()
    unsyncedWrite = rocksdb_writeoptions_create()
    rocksdb_writeoptions_set_sync(syncedWrite, 1)
  }

  deinit {
    // Handles first: a handle alive at the close aborts the process.
    for handle in handles { rocksdb_column_family_handle_destroy(handle) }
    rocksdb_close(database)
    rocksdb_readoptions_destroy(readOptions)
    rocksdb_writeoptions_destroy(syncedWrite)
    rocksdb_writeoptions_destroy(unsyncedWrite)
  }

  /// Opens for reading and writing, creating what is missing. Families found on disk and not named are opened too, as
  /// RocksDB demands, with default settings.
  static func primary(path: String, families: [FamilySpec], options: StoreOptions) throws(StoreError) -> Session {
    let exists = storeExists(path)
    guard exists || options.createIfMissing else { throw .notFound(path: path) }
    // Made here, and not by RocksDB, to keep it from other users; what already exists stays as it is.
    if !exists { _ = mkdir(path, 0o700) }
    let found = exists ? try familyNames(path: path) : []
    let known = Set(families.map(\.name))
    var specs = families
    for name in Set(found + ["default"]).subtracting(known).sorted() { specs.append(FamilySpec(name)) }
    return try open(path: path, specs: specs, options: options) { (set, names, handles, status) in
      rocksdb_open_column_families(
        set.database, path, Int32(names.count), names, set.families.map { $0 }, handles, status)
    }
  }

  /// Opens for reading beside a writer. Families not on disk yet are left out.
  ///
  /// A secondary opening first reads the list of files (the manifest), then the logs. A flush between the two takes its
  /// rows out of the logs into a file the list did not have: they would be missing. So the manifest must be the same
  /// after the opening as before; a writer changes it once a flush or compaction, so a second attempt nearly always does.
  static func secondary(
    path: String, scratch: String, families: [FamilySpec], options: StoreOptions
  ) throws(StoreError) -> Session {
    _ = mkdir(scratch, 0o700)
    for _ in 0..<secondaryAttemptsMax {
      guard let before = ManifestMark(storePath: path) else { throw .notFound(path: path) }
      let outcome = Result { () throws(StoreError) in
        try secondaryOnce(path: path, scratch: scratch, families: families, options: options)
      }
      // A failure is not taken at its word either when files changed under it.
      if ManifestMark(storePath: path) == before { return try outcome.get() }
    }
    throw .busy
  }

  private static let secondaryAttemptsMax = 8

  private static func secondaryOnce(
    path: String, scratch: String, families: [FamilySpec], options: StoreOptions
  ) throws(StoreError) -> Session {
    let found = Set(try familyNames(path: path))
    var specs = families.filter { found.contains($0.name) }
    if !specs.contains(where: { $0.name == "default" }) { specs.append(FamilySpec("default")) }
    return try open(path: path, specs: specs, options: options) { (set, names, handles, status) in
      rocksdb_open_as_secondary_column_families(
        set.database, path, scratch, Int32(names.count), names, set.families.map { $0 }, handles, status)
    }
  }

  private typealias Opening = (
    borrowing OptionSet, [UnsafePointer<CChar>?], UnsafeMutablePointer<OpaquePointer?>, StatusPointer
  ) -> OpaquePointer?

  private static func open(
    path: String, specs: [FamilySpec], options: StoreOptions, _ opening: Opening
  ) throws(StoreError) -> Session {
    let set = OptionSet(options, families: specs)
    let names = specs.map { strdup($0.name) }
    defer { for name in names { free(name) } }
    var handles = [OpaquePointer?](repeating: nil, count: specs.count)
    let database = try checked(path: path) { status in
      opening(set, names.map { UnsafePointer($0) }, &handles, status)
    }
    guard let database else { throw .io("no database and no reason given") }
    return Session(database: database, handles: handles.compactMap(\.self), names: specs.map(\.name), path: path)
  }

  private static func storeExists(_ path: String) -> Bool { access(path + "/CURRENT", F_OK) == 0 }

  private static func familyNames(path: String) throws(StoreError) -> [String] {
    let options: OpaquePointer = rocksdb_options_create()
    defer { rocksdb_options_destroy(options) }
    var count = 0
    let list = try checked(path: path) { status in rocksdb_list_column_families(options, path, &count, status) }
    guard let list else { return [] }
    defer { rocksdb_list_column_families_destroy(list, count) }
    return (0..<count).compactMap { list[$0].map { String(cString: $0) } }
  }
}

/// Which manifest a store is on, and how far it is written: equal marks mean that no file came or went in between.
private struct ManifestMark: Equatable {
  let name: [UInt8]
  let byteCount: Int

  /// Nil when there is no store.
  init?(storePath: String) {
    // CURRENT holds the manifest's name and a line feed, about 16 bytes.
    let descriptor = Glibc.open(storePath + "/CURRENT", O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { Glibc.close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 256)
    let count = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
    guard count > 0 else { return nil }
    name = bytes[..<count].filter { $0 != UInt8(ascii: "\n") }
    var status = stat()
    // A manifest replaced in this very moment has no size: the mark then differs from the next one.
    let manifest = storePath + "/" + String(decoding: name, as: UTF8.self)
    byteCount = stat(manifest, &status) == 0 ? Int(status.st_size) : -1
  }
}

/// Where a RocksDB call leaves its status text.
typealias StatusPointer = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>

/// Runs one C call and turns its status text into a typed error.
func checked<Value>(path: String, _ call: (StatusPointer) -> Value) throws(StoreError) -> Value {
  var text: UnsafeMutablePointer<CChar>?
  let value = call(&text)
  guard let text else { return value }
  defer { rocksdb_free(text) }
  throw StoreError(status: String(cString: text), path: path)
}

extension UnsafeRawBufferPointer {
  /// The bytes as the C interface wants them: never a null pointer, which RocksDB's assertions refuse even for 0 bytes.
  var chars: UnsafePointer<CChar> { baseAddress?.assumingMemoryBound(to: CChar.self) ?? noBytes }
}

/// A place to point at for zero bytes. `nonisolated(unsafe)`: allocated once, never written, never read, never freed.
private nonisolated(unsafe) let noBytes = UnsafePointer<CChar>(UnsafeMutablePointer<CChar>.allocate(capacity: 1))
