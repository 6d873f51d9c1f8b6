import Compression
import Digests
import KeyValueStore
import Synchronization

/// The store's encryption at rest: seals every value under the key of whom it is about, and opens it again.
///
/// A value under another key than it was sealed for, in another family, changed by one bit, or never sealed does not open.
/// What it does not hide: how many rows there are, their lengths, when they were written, and the integers in their keys.
package final class Vault: ValueGuard {
  let ring: KeyRing
  let cipher: SealingCipher
  private let packer: VaultPacker

  init(ring: KeyRing) throws(StoreError) {
    self.ring = ring
    cipher = ring.cipher
    packer = VaultPacker()
  }

  /// Seals a value under the newest key of its place.
  package func seal(
    _ value: UnsafeRawBufferPointer, family: String, key: UnsafeRawBufferPointer
  ) throws(StoreError) -> [UInt8] {
    let chosen = try ring.sealing(KeyPlace(family: family, key: key), value)
    return try seal(value, family: family, key: key, with: chosen)
  }

  func seal(
    _ value: UnsafeRawBufferPointer, family: String, key: UnsafeRawBufferPointer, with chosen: KeyRing.Chosen
  ) throws(StoreError) -> [UInt8] {
    let id = chosen.id
    func sealed(_ plain: UnsafeRawBufferPointer, _ packing: Envelope.Packing) throws(StoreError) -> [UInt8] {
      let front = Envelope(id.keyClass, packing, number: id.number, generation: id.generation).front
      let associated = Envelope.associated(family: family, key: key, front: front)
      return try ciphering { () throws(DigestError) in
        try cipher.seal(plain, key: chosen.key, associated: associated, front: front)
      }
    }
    guard let (packed, packing) = packer.pack(value, family: family) else { return try sealed(value, .plain) }
    return try lendingBytes(packed) { (raw) throws(StoreError) in try sealed(raw, packing) }
  }

  /// Opens a sealed value.
  package func open(
    _ kept: UnsafeRawBufferPointer, family: String, key: UnsafeRawBufferPointer
  ) throws(StoreError) -> [UInt8] {
    guard let (envelope, frontBytes) = Envelope.read(kept) else {
      throw .sealed("a value of family \(family) is not sealed, in a store that is")
    }
    let id = KeyRing.KeyID(
      keyClass: envelope.keyClass, number: envelope.number, generation: envelope.generation)
    guard let secret = try ring.opening(id) else {
      throw .sealed("a value of family \(family) is under a key that is missing or was destroyed")
    }
    let associated = Envelope.associated(
      family: family, key: key, front: [UInt8](UnsafeRawBufferPointer(rebasing: kept[..<frontBytes])))
    let opened = try ciphering { () throws(DigestError) in
      try cipher.open(
        UnsafeRawBufferPointer(rebasing: kept[frontBytes...]), key: secret, associated: associated)
    }
    guard let opened else {
      throw .sealed("a value of family \(family) does not open: it is damaged, or stands where it was not written")
    }
    guard envelope.packing != .plain else { return opened }
    guard let unpacked = packer.unpack(opened, envelope.packing) else {
      throw .sealed("a value of family \(family) opens and does not unpack")
    }
    return unpacked
  }

  /// Writes the rows of new keys before the values under them.
  package func willWrite(to store: Store) throws(StoreError) { try ring.writePending() }

  // MARK: Names in keys

  /// What stands for a text in a RocksDB key: equal texts of a family are equal bytes.
  func sealName(_ text: String, family: String) throws(StoreError) -> [UInt8] {
    try ciphering { () throws(DigestError) in try ring.names.seal(Array(text.utf8), associated: Array(family.utf8)) }
  }

  /// The text behind ``sealName(_:family:)``; nil for anything else.
  func openName(_ bytes: [UInt8], family: String) -> String? {
    ring.names.open(bytes, associated: Array(family.utf8)).flatMap { String(validating: $0, as: UTF8.self) }
  }
}

/// Packs values before they are sealed: RocksDB cannot pack them afterwards.
final class VaultPacker: Sendable {
  /// Shorter values are sealed as they are.
  private static let bytesMin = 64
  /// A value never unpacks to more: checked before memory is taken.
  private static let bytesMax = 64 << 20

  /// One of each for a thread at a time.
  ///
  /// `@unchecked Sendable`: it has one user at a time, who took it out of `idle`.
  private final class Tools: @unchecked Sendable {
    let plain: ZstdCompressor
    let documents: ZstdCompressor
    let unpack: ZstdDecompressor
    let unpackDocuments: ZstdDecompressor

    init() throws(CompressionError) {
      plain = try ZstdCompressor(level: 1, hasChecksum: false)
      documents = try ZstdCompressor(level: 3, dictionary: VaultPacker.documents, hasChecksum: false)
      unpack = try ZstdDecompressor()
      unpackDocuments = try ZstdDecompressor(dictionary: VaultPacker.documents)
    }
  }

  private let idle: Mutex<[Tools]> = Mutex([])

  /// The packed bytes; nil where that is not smaller by a sixteenth, or the family's values come packed.
  func pack(_ value: UnsafeRawBufferPointer, family: String) -> (bytes: [UInt8], packing: Envelope.Packing)? {
    guard value.count >= VaultPacker.bytesMin, let packing = VaultPacker.packing(of: family) else { return nil }
    return using { tools in
      let compressor = packing == .zstdDocuments ? tools.documents : tools.plain
      guard let packed = try? compressor.compress(value), packed.count < value.count - value.count / 16 else {
        return nil
      }
      return (packed, packing)
    }
  }

  func unpack(_ bytes: [UInt8], _ packing: Envelope.Packing) -> [UInt8]? {
    using { tools in
      let decompressor = packing == .zstdDocuments ? tools.unpackDocuments : tools.unpack
      return try? decompressor.decompress(bytes, limit: VaultPacker.bytesMax)
    }
  }

  private static func packing(of family: String) -> Envelope.Packing? {
    switch family {
    case "alerts", "ledger", "outbox": .zstdDocuments
    case "state", "registry", "quarantine", "audit": .zstd
    default: nil
    }
  }

  private func using<Value>(_ body: (Tools) -> Value?) -> Value? {
    guard let tools = idle.withLock({ $0.popLast() }) ?? (try? Tools()) else { return nil }
    defer { idle.withLock { if $0.count < 16 { $0.append(tools) } } }
    return body(tools)
  }
}

/// Lends an array's bytes to a body with the store's error.
func lendingBytes<Value>(
  _ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) throws(StoreError) -> Value
) throws(StoreError) -> Value {
  let result: Result<Value, StoreError> = bytes.withUnsafeBytes { raw in
    do throws(StoreError) { return .success(try body(raw)) } catch { return .failure(error) }
  }
  return try result.get()
}
