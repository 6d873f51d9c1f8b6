import Compression
import Digests
import KeyValueStore

/// The frame around every value but a journal batch, whose header has the same two ends.
///
/// ```
/// version u8 | body … | CRC-32C of all before, u32 little-endian
/// ```
enum SealedValue {
  /// The version tables write unless they say otherwise.
  static let version: UInt8 = 1
  /// Bytes of a value with an empty body.
  static let frameBytes = 5

  static func seal(
    version: UInt8 = SealedValue.version, capacity: Int = 64, _ fill: (inout ByteWriter) -> Void
  ) -> [UInt8] {
    var writer = ByteWriter(capacity: capacity + frameBytes)
    writer.append(version)
    fill(&writer)
    writer.append(littleEndian: Checksums.crc32c(writer.bytes))
    return writer.bytes
  }

  /// Checks the frame; the bytes between its ends.
  ///
  /// - Parameter newest: the newest version the caller can read; it reads all before it too.
  static func body(
    of value: UnsafeRawBufferPointer, newest: UInt8 = SealedValue.version
  ) throws(Damage) -> UnsafeRawBufferPointer {
    guard value.count >= frameBytes else { throw .tooShort(bytes: value.count) }
    let end = value.count - 4
    let stored = UInt32(littleEndian: value.loadUnaligned(fromByteOffset: end, as: UInt32.self))
    guard Checksums.crc32c(UnsafeRawBufferPointer(rebasing: value[..<end])) == stored else { throw .checksum }
    guard (version...newest).contains(value[0]) else { throw .laterVersion(value[0]) }
    return UnsafeRawBufferPointer(rebasing: value[1..<end])
  }

  /// Checks the frame and reads the body to its end.
  static func open<Content>(
    _ value: UnsafeRawBufferPointer, family: String, position: UInt64, newest: UInt8 = SealedValue.version,
    _ read: (inout ByteReader) throws(ByteError) -> Content?
  ) throws(JournalError) -> Content {
    do throws(Damage) {
      var reader = ByteReader(try body(of: value, newest: newest))
      guard let content = try content(&reader, read), reader.isAtEnd else { throw .malformed("the body") }
      return content
    } catch {
      throw .damaged(family: family, position: position, error)
    }
  }

  private static func content<Content>(
    _ reader: inout ByteReader, _ read: (inout ByteReader) throws(ByteError) -> Content?
  ) throws(Damage) -> Content? {
    do throws(ByteError) { return try read(&reader) } catch { throw .malformed("a field's length") }
  }
}

/// One family of an open store with the calls every table makes.
struct Table: Sendable {
  let store: Store
  let family: Family
  /// Nil in a store without encryption.
  var vault: Vault?

  /// Lends each row with a key in `lower..<upper` in order, or in reverse, until `visit` returns false.
  func scan(
    lower: [UInt8]? = nil, upper: [UInt8]? = nil, isReversed: Bool = false,
    _ visit: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws(JournalError) -> Bool
  ) throws(JournalError) {
    let iterator = try storing { () throws(StoreError) in try store.iterator(family, lower: lower, upper: upper) }
    defer { iterator.close() }
    var isAtRow = try storing { () throws(StoreError) in
      try isReversed ? iterator.seekToLast() : iterator.seekToFirst()
    }
    while isAtRow {
      guard try visit(iterator.key, try value(of: iterator)) else { return }
      isAtRow = try storing { () throws(StoreError) in try isReversed ? iterator.previous() : iterator.next() }
    }
  }

  /// The value an iterator is at. One that does not open is lent as no bytes, which no table takes for a value: it is
  /// damage of that row and does not hide the others.
  private func value(of iterator: StoreIterator) throws(JournalError) -> UnsafeRawBufferPointer {
    do throws(StoreError) {
      return try iterator.value
    } catch {
      guard case .sealed = error else { throw .store(error) }
      return UnsafeRawBufferPointer(start: nil, count: 0)
    }
  }

  /// As `scan`, over the keys that start with `prefix`.
  func scan(
    prefix: [UInt8], isReversed: Bool = false,
    _ visit: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws(JournalError) -> Bool
  ) throws(JournalError) {
    try scan(lower: prefix, upper: keyAfterPrefix(prefix), isReversed: isReversed, visit)
  }

  /// Reads the sealed value under a key; nil when there is none.
  func read<Content>(
    _ key: [UInt8], position: UInt64, newest: UInt8 = SealedValue.version,
    _ read: (inout ByteReader) throws(ByteError) -> Content?
  ) throws(JournalError) -> Content? {
    let value: [UInt8]?
    do throws(StoreError) {
      value = try store.get(family, key: key)
    } catch {
      guard case .sealed = error else { throw .store(error) }
      throw .damaged(family: family.name, position: position, .tooShort(bytes: 0))
    }
    guard let value else { return nil }
    return try lending(value) { (raw) throws(JournalError) in
      try SealedValue.open(raw, family: family.name, position: position, newest: newest, read)
    }
  }

  func open<Content>(
    _ value: UnsafeRawBufferPointer, position: UInt64, newest: UInt8 = SealedValue.version,
    _ read: (inout ByteReader) throws(ByteError) -> Content?
  ) throws(JournalError) -> Content {
    try SealedValue.open(value, family: family.name, position: position, newest: newest, read)
  }

  /// Whether a key is there.
  func holds(_ key: [UInt8]) throws(JournalError) -> Bool {
    do throws(StoreError) {
      return try store.withValue(family, key: key) { $0 != nil }
    } catch {
      // It is there, and its value does not open.
      if case .sealed = error { return true }
      throw .store(error)
    }
  }

  // MARK: Texts in keys

  /// What stands for a text in a key of this family: its UTF-8 bytes, or in an encrypted store bytes that only its keys
  /// tell apart from chance. Equal texts are equal bytes.
  func keyText(_ text: String) throws(KeyError) -> [UInt8] {
    guard let vault else { return Array(text.utf8) }
    // Checked before, so that the error speaks of the text the caller gave.
    guard text.utf8.count <= 0xFFFF - NameCipher.tagBytes else { throw .partTooLong(bytes: text.utf8.count) }
    do throws(StoreError) {
      return try vault.sealName(text, family: family.name)
    } catch {
      // Libcrypto has no memory: nothing can be sealed any more.
      preconditionFailure("a name cannot be sealed: \(error)")
    }
  }

  /// Appends a text to a key as ``keyText(_:)`` says.
  func append(_ text: String, to key: inout KeyBuilder) throws(KeyError) { try key.append(counted: keyText(text)) }

  /// Takes a text that ``append(_:to:)`` put into a key.
  func text(_ reader: inout KeyReader) throws(KeyError) -> String {
    guard let vault else { return try reader.string() }
    guard let text = vault.openName([UInt8](try reader.counted()), family: family.name) else { throw .notUTF8 }
    return text
  }

  /// Reads the parts of a key after its first byte.
  func parse<Content>(
    _ key: UnsafeRawBufferPointer, skipping count: Int = 1,
    _ read: (inout KeyReader) throws(KeyError) -> Content
  ) throws(JournalError) -> Content {
    guard key.count >= count else { throw .damaged(family: family.name, position: 0, .key) }
    var reader = KeyReader(UnsafeRawBufferPointer(rebasing: key[count...]))
    do throws(KeyError) {
      let content = try read(&reader)
      if reader.isAtEnd { return content }
    } catch {}
    throw .damaged(family: family.name, position: 0, .key)
  }
}

/// Builds a key; the one failure is a text part of more than 65,535 bytes.
func makeKey(_ fill: (inout KeyBuilder) throws(KeyError) -> Void) throws(JournalError) -> [UInt8] {
  var key = KeyBuilder()
  do throws(KeyError) {
    try fill(&key)
  } catch {
    guard case .partTooLong(let bytes) = error else { throw .tooLong(bytes: 0, limit: 0xFFFF) }
    throw .tooLong(bytes: bytes, limit: 0xFFFF)
  }
  return key.bytes
}

/// Lends an array's bytes to a body with a typed error, which `withUnsafeBytes` alone would make untyped.
func lending<Value>(
  _ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) throws(JournalError) -> Value
) throws(JournalError) -> Value {
  let result: Result<Value, JournalError> = bytes.withUnsafeBytes { raw in
    do throws(JournalError) { return .success(try body(raw)) } catch { return .failure(error) }
  }
  return try result.get()
}
