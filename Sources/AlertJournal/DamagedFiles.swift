import Digests
import Glibc
import KeyValueStore

/// The rows put aside in an encrypted store's `damaged`: as they were kept, which is sealed, or, of a store that was sealed
/// later, in an envelope of the file's own under the store's key.
struct DamagedFiles {
  /// The row a file is of.
  struct Row {
    var family: String
    /// As far as a file's name holds it.
    var key: [UInt8]
  }

  let path: String
  private let vault: Vault
  /// What the envelopes of files are bound to, beside the file's name.
  private static let family = "damaged"

  init(store path: String, vault: Vault) {
    self.path = path + DamagedPlace.folder
    self.vault = vault
  }

  /// Names of the files, sorted.
  func names() throws(StoreError) -> [String] { try DamagedFiles.names(in: path) }

  /// Names in a folder, sorted; none when there is no such folder.
  static func names(in folder: String) throws(StoreError) -> [String] {
    let list: (String) throws(BackupError) -> [String] = BackupFiles.names
    do throws(BackupError) { return try list(folder) } catch { throw .io(error.description) }
  }

  /// The row a file's name says it is of; nil for any other name.
  static func row(ofFile name: String) -> Row? {
    guard let dash = name.lastIndex(of: "-") else { return nil }
    let digits = Array(name[name.index(after: dash)...].utf8)
    guard digits.count % 2 == 0 else { return nil }
    var key: [UInt8] = []
    for at in stride(from: 0, to: digits.count, by: 2) {
      guard let byte = UInt8(String(decoding: digits[at...at + 1], as: UTF8.self), radix: 16) else { return nil }
      key.append(byte)
    }
    return Row(family: String(name[..<dash]), key: key)
  }

  /// What a file holds, of which ``row(ofFile:)`` is known; nil where it opens under no key there is.
  func open(_ name: String) -> [UInt8]? {
    guard let row = DamagedFiles.row(ofFile: name), let kept = try? BackupFiles.read(path + "/" + name) else {
      return nil
    }
    return opened(kept, DamagedFiles.family, Array(name.utf8)) ?? opened(kept, row.family, row.key)
  }

  private func opened(_ kept: [UInt8], _ family: String, _ key: [UInt8]) -> [UInt8]? {
    try? lendingBytes(kept) { (kept) throws(StoreError) in
      try lendingBytes(key) { (key) throws(StoreError) in try vault.open(kept, family: family, key: key) }
    }
  }

  /// Writes a file, sealed under the store's newest key.
  func put(_ plain: [UInt8], _ name: String) throws(StoreError) {
    let sealed = try lendingBytes(plain) { (plain) throws(StoreError) in
      try lendingBytes(Array(name.utf8)) { (key) throws(StoreError) in
        try vault.seal(plain, family: DamagedFiles.family, key: key)
      }
    }
    try vault.ring.writePending()
    do throws(BackupError) {
      try BackupFiles.write(sealed, to: path + "/" + name, in: path)
    } catch {
      throw .io(error.description)
    }
  }

  /// Seals the files of a store that is being sealed, and takes texts out of their names; those done already stay.
  ///
  /// - Returns: files sealed.
  func sealAll(in store: Store) throws(StoreError) -> Int {
    var count = 0
    for name in try names() where open(name) == nil {
      let plain: [UInt8]
      do throws(BackupError) {
        plain = try BackupFiles.read(path + "/" + name)
      } catch {
        throw .io(error.description)
      }
      let sealedName = name.hasSuffix(".new") ? nil : sealedName(name, in: store)
      if let sealedName { try put(plain, sealedName) }
      // Half written, or no file of ours where it has no row: nothing in clear stays.
      if sealedName != name { unlink(path + "/" + name) }
      count += 1
    }
    return count
  }

  /// The name of a file once the texts in its row's key are sealed; of a key that is not whole, its integers and a digest.
  private func sealedName(_ name: String, in store: Store) -> String? {
    guard let row = DamagedFiles.row(ofFile: name), let family = try? store.family(row.family) else {
      return "unknown-" + hex(sha256(Array(name.utf8)))
    }
    let plain = Table(store: store, family: family)
    let sealed = row.key.withUnsafeBytes { key in
      try? SealedKeys(table: plain, vault: vault).key(for: key)
    }
    let key = sealed ?? Array(row.key.prefix(Self.integers(row))) + sha256(row.key).prefix(16)
    return row.family + "-" + hex(Array(key.prefix(DamagedPlace.keyBytesMax)))
  }

  private static func integers(_ row: Row) -> Int {
    switch (row.family, row.key.first) {
    case ("alerts", 0x01), ("alerts", 0x05): 5
    case ("alerts", 0x03): 13
    default: 1
    }
  }
}
