import Compression
import KeyValueStore

/// Whose key seals a value (docs/encryption.md).
enum KeyClass: UInt8, Sendable, CaseIterable {
  /// What belongs to no one patient: names of devices, texts in force, outbox, quarantine, audit.
  case store = 1
  /// Chunks, alerts, ledger and state of one patient, and the patient's name.
  case patient = 2
  /// Journal batches received in one hour.
  case hour = 3
}

/// Which key a row belongs to, as its family and key say.
enum KeyPlace: Hashable, Sendable {
  case store
  case patient(UInt32)
  /// A journal batch; the hour is in its value.
  case journal(position: UInt64)

  /// The directory number that stands for no patient.
  private static let nobody = UInt32.max

  init(family: String, key: UnsafeRawBufferPointer) {
    let offset: Int?
    switch family {
    case "journal":
      self = .journal(position: key.count == 8 ? KeyPlace.number(key, 0, UInt64.self) : 0)
      return
    case "chunks", "rollups": offset = 0
    case "alerts": offset = KeyPlace.patientOffset(ofAlertRow: key.first)
    case "ledger": offset = 16
    case "state": offset = KeyPlace.patientOffset(ofStateRow: key)
    case "registry": offset = key.first == EntryKind.patient.rawValue ? 1 : nil
    default: offset = nil
    }
    guard let offset, key.count >= offset + 4 else {
      self = .store
      return
    }
    let number = KeyPlace.number(key, offset, UInt32.self)
    self = number == KeyPlace.nobody ? .store : .patient(number)
  }

  /// docs/formats/alerts.md: rows 0x02 and 0x04 name an alert, not a patient.
  private static func patientOffset(ofAlertRow prefix: UInt8?) -> Int? {
    switch prefix {
    case 0x01, 0x05: 1
    case 0x03: 9
    default: nil
    }
  }

  /// docs/formats/state.md; `S` and a letter is the sealer's, followed by a patient in all rows but the floor's.
  private static func patientOffset(ofStateRow key: UnsafeRawBufferPointer) -> Int? {
    switch key.first {
    case 0x01: 1
    case 0x03: 9
    case 0x53 where key.count > 2: 2
    default: nil
    }
  }

  private static func number<Value: FixedWidthInteger & BitwiseCopyable>(
    _ key: UnsafeRawBufferPointer, _ offset: Int, _ type: Value.Type
  ) -> Value {
    Value(bigEndian: key.loadUnaligned(fromByteOffset: offset, as: type))
  }
}

/// The front of a sealed value:
///
/// ```
/// 0xE1 | class and packing u8 | number varint (not for the store's key) | generation varint
///      | nonce 12 | ciphertext … | tag 16
/// ```
struct Envelope: Hashable, Sendable {
  /// How the value was packed before it was sealed: sealed bytes cannot be packed any more.
  enum Packing: UInt8, Sendable, CaseIterable {
    case plain = 0x00
    case zstd = 0x10
    /// zstd with the dictionary of alert documents, ``VaultPacker/documents``.
    case zstdDocuments = 0x20
  }

  static let magic: UInt8 = 0xE1

  var keyClass: KeyClass
  var packing: Packing
  /// Directory number of the patient, or hour since 1970; 0 for the store's key.
  var number: UInt32
  var generation: UInt32

  var front: [UInt8] {
    var out = ByteWriter(capacity: 12)
    out.append(Envelope.magic)
    out.append(keyClass.rawValue | packing.rawValue)
    if keyClass != .store { out.append(varint: UInt64(number)) }
    out.append(varint: UInt64(generation))
    return out.bytes
  }

  init(_ keyClass: KeyClass, _ packing: Packing, number: UInt32, generation: UInt32) {
    self.keyClass = keyClass
    self.packing = packing
    self.number = number
    self.generation = generation
  }

  /// Reads the front of a sealed value; nil for anything else, a value that was never sealed above all.
  ///
  /// - Returns: the front and its length in bytes.
  static func read(_ kept: UnsafeRawBufferPointer) -> (envelope: Envelope, frontBytes: Int)? {
    guard kept.count > 2, kept[0] == magic, let keyClass = KeyClass(rawValue: kept[1] & 0x0F),
      let packing = Packing(rawValue: kept[1] & 0xF0)
    else { return nil }
    var reader = ByteReader(UnsafeRawBufferPointer(rebasing: kept[2...]))
    let left = kept.count - 2
    do throws(ByteError) {
      let number = keyClass == .store ? 0 : try reader.varint()
      let generation = try reader.varint()
      guard let number = UInt32(exactly: number), let generation = UInt32(exactly: generation) else { return nil }
      let envelope = Envelope(keyClass, packing, number: number, generation: generation)
      // One way to write each front: what is bound by the tag is what was read.
      let frontBytes = 2 + left - reader.left
      return envelope.front.count == frontBytes ? (envelope, frontBytes) : nil
    } catch {
      return nil
    }
  }

  /// What the tag binds beside the value: where it stands and how it is sealed.
  static func associated(family: String, key: UnsafeRawBufferPointer, front: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(family.utf8.count + 1 + key.count + front.count)
    bytes.append(contentsOf: family.utf8)
    bytes.append(0)
    bytes.append(contentsOf: key)
    bytes.append(contentsOf: front)
    return bytes
  }
}
