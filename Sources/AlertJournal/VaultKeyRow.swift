import Compression
import Digests
import KeyValueStore

/// Keys and layouts of the family `keys`: docs/formats/keys.md.
enum KeyRow {
  static let header: [UInt8] = [0x00]
  static let storePrefix: UInt8 = 0x01
  static let tenantPrefix: UInt8 = 0x02
  static let patientPrefix: UInt8 = 0x03
  static let hourPrefix: UInt8 = 0x04
  static let holdPrefix: UInt8 = 0x05
  static let tombstonePrefix: UInt8 = 0x06
  static let tracesPrefix: UInt8 = 0x07

  static func store(_ generation: UInt32) -> [UInt8] { key(storePrefix, [generation]) }
  static func tenant(_ number: UInt32, _ generation: UInt32) -> [UInt8] { key(tenantPrefix, [number, generation]) }
  static func patient(_ number: UInt32, _ generation: UInt32) -> [UInt8] { key(patientPrefix, [number, generation]) }
  static func hour(_ number: UInt32, _ generation: UInt32) -> [UInt8] { key(hourPrefix, [number, generation]) }
  static func hold(_ patient: UInt32) -> [UInt8] { key(holdPrefix, [patient]) }
  static func tombstone(_ patient: UInt32) -> [UInt8] { key(tombstonePrefix, [patient]) }
  static func traces(_ patient: UInt32) -> [UInt8] { key(tracesPrefix, [patient]) }

  static func key(_ prefix: UInt8, _ numbers: [UInt32]) -> [UInt8] {
    var key = KeyBuilder()
    key.append(prefix)
    for number in numbers { key.append(number) }
    return key.bytes
  }
}

/// What the first row of the family says.
struct KeyHeader: Hashable, Sendable {
  enum State: UInt8, Sendable {
    case sealed = 1
    /// A store made without encryption is being sealed; it is not opened before that is done.
    case sealing = 2
    /// A patient is being erased; the store is not opened before that is done.
    case erasing = 3
  }
  var state: State
  /// 16 random bytes that tell this store's keys from those of every other.
  var storeID: [UInt8]
  /// Whom an erasure under way is about; else 0.
  var patient: UInt32 = 0
  /// The key of names in RocksDB keys, wrapped by the master key.
  var names: [UInt8]

  var value: [UInt8] {
    SealedValue.seal(capacity: 140) { out in
      out.append(state.rawValue)
      out.append(raw: storeID)
      out.append(littleEndian: patient)
      out.append(counted: names)
    }
  }

  init(state: State, storeID: [UInt8], names: [UInt8]) {
    self.state = state
    self.storeID = storeID
    self.names = names
  }

  init?(_ reader: inout ByteReader) throws(ByteError) {
    guard let state = State(rawValue: try reader.byte()) else { return nil }
    self.state = state
    storeID = [UInt8](try reader.raw(16))
    patient = try reader.littleEndian()
    names = [UInt8](try reader.counted())
  }

  /// The header of a store; nil: the store is not encrypted.
  static func read(_ table: Table) throws(JournalError) -> KeyHeader? {
    try table.read(KeyRow.header, position: 0) { (reader) throws(ByteError) in try KeyHeader(&reader) }
  }
}

/// Keys sealed under the key above them.
struct KeyWrap: Sendable {
  let cipher: SealingCipher
  let storeID: [UInt8]

  /// The tag binds store and row: a wrapped key under another row, or in another store, does not open.
  private func associated(_ row: [UInt8]) -> [UInt8] { Array("vigil key\0".utf8) + storeID + row }

  /// - Parameter extra: goes with the key, sealed.
  func wrap(
    _ key: SecretKey, extra: [UInt8] = [], row: [UInt8], under above: SecretKey
  ) throws(StoreError) -> [UInt8] {
    let plain = key.withBytes { [UInt8]($0) } + extra
    return try ciphering { () throws(DigestError) in
      try cipher.seal(plain, key: above, associated: associated(row))
    }
  }

  /// Nil when it was not wrapped so, under this key.
  func unwrap(
    _ wrapped: [UInt8], keyBytes: Int = SealingCipher.keyBytes, row: [UInt8], under above: SecretKey
  ) throws(StoreError) -> (key: SecretKey, extra: [UInt8])? {
    let plain = try ciphering { () throws(DigestError) in
      try cipher.open(wrapped, key: above, associated: associated(row))
    }
    guard let plain, plain.count >= keyBytes else { return nil }
    return (SecretKey(copying: Array(plain[..<keyBytes])), Array(plain[keyBytes...]))
  }
}

/// Runs calls of the ciphers and gives their errors the store's type.
func ciphering<Value>(_ body: () throws(DigestError) -> Value) throws(StoreError) -> Value {
  do throws(DigestError) {
    return try body()
  } catch {
    guard case .library(let code) = error else { throw .sealed("libcrypto refused") }
    throw .sealed("libcrypto refused, with error code \(code)")
  }
}
