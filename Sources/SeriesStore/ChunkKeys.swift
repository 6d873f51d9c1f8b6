/// Room `SeriesStore`: samples of each patient and device, gathered in memory, sealed into chunks, found and read back. It
/// never judges a value, never trims or reads the journal (its caller feeds it from there), never asks what time it is,
/// starts no thread, and never changes a number.
import ChunkCoding
import KeyValueStore

/// Why the series store could not do as asked.
package enum SeriesError: Error, Equatable, Sendable {
  /// The key-value store refused; nothing was lost from memory, so the call may be made again.
  case store(StoreError)
  /// A stored chunk or position cannot be read.
  case chunk(ChunkError)
  /// A key in one of our families has not our form.
  case foreignKey
}

extension SeriesError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .store(let error): "\(error)"
    case .chunk(let error): "\(error)"
    case .foreignKey: "a key of the series store has an unknown form"
    }
  }
}

/// One patient's stream from one device: what chunks are made of.
package struct SeriesGroup: Hashable, Comparable, Sendable {
  /// Directory numbers.
  package var patient: UInt32
  package var device: UInt32

  @inlinable
  package init(patient: UInt32, device: UInt32) {
    self.patient = patient
    self.device = device
  }

  package static func < (left: SeriesGroup, right: SeriesGroup) -> Bool {
    (left.patient, left.device) < (right.patient, right.device)
  }
}

/// Names, layouts and keys of what this room stores: `docs/formats/chunk.md`.
package enum SeriesFamilies {
  /// Sealed chunks. Already packed, so RocksDB does not pack them again; look-ups stay within patient and device.
  package static let chunks = FamilySpec(
    "chunks", compression: .none, writeBufferBytes: 16 << 20, bloomBitsPerKey: 10, prefixBytes: 8)
  /// Name of the family of positions, shared with other rooms: our keys begin with ``prefix``.
  package static let stateName = "state"
  /// `S`.
  package static let prefix: UInt8 = 0x53
}

/// Key of a chunk: patient, device, first event time, first position; big-endian, times in numeric order.
struct ChunkKey: Hashable, Sendable {
  var group: SeriesGroup
  var firstTime: Int64
  var firstPosition: UInt64

  var bytes: [UInt8] {
    var builder = KeyBuilder(capacity: 24)
    builder.append(group.patient)
    builder.append(group.device)
    builder.append(firstTime)
    builder.append(firstPosition)
    return builder.bytes
  }

  init(group: SeriesGroup, firstTime: Int64, firstPosition: UInt64) {
    self.group = group
    self.firstTime = firstTime
    self.firstPosition = firstPosition
  }

  init(_ bytes: UnsafeRawBufferPointer) throws(SeriesError) {
    var reader = KeyReader(bytes)
    do throws(KeyError) {
      group = SeriesGroup(patient: try reader.uint32(), device: try reader.uint32())
      firstTime = try reader.int64()
      firstPosition = try reader.uint64()
    } catch {
      throw .foreignKey
    }
    guard reader.isAtEnd else { throw .foreignKey }
  }

  /// The front that all chunks of a group share.
  static func prefix(_ group: SeriesGroup) -> [UInt8] {
    var builder = KeyBuilder(capacity: 8)
    builder.append(group.patient)
    builder.append(group.device)
    return builder.bytes
  }
}

/// Keys in the `state` family.
enum StateKey {
  /// `S` `F`: the seal floor.
  static let floor: [UInt8] = [SeriesFamilies.prefix, 0x46]
  /// `S` `G`: what the sealed positions of all groups begin with.
  static let sealedPrefix: [UInt8] = [SeriesFamilies.prefix, 0x47]

  /// `S` `G` patient device: last position sealed for a group.
  static func sealed(_ group: SeriesGroup) -> [UInt8] { sealedPrefix + ChunkKey.prefix(group) }

  /// The group of a sealed position's key.
  static func group(_ key: UnsafeRawBufferPointer) throws(SeriesError) -> SeriesGroup {
    guard key.count == 10 else { throw .foreignKey }
    var reader = KeyReader(UnsafeRawBufferPointer(rebasing: key[2...]))
    do throws(KeyError) {
      return SeriesGroup(patient: try reader.uint32(), device: try reader.uint32())
    } catch {
      throw .foreignKey
    }
  }
}

/// The two families of an open store.
struct OpenFamilies: Sendable {
  let chunks: Family
  let state: Family

  init(_ store: Store) throws(SeriesError) {
    chunks = try storing { () throws(StoreError) in try store.family(SeriesFamilies.chunks.name) }
    state = try storing { () throws(StoreError) in try store.family(SeriesFamilies.stateName) }
  }
}

/// Runs calls of the key-value store and gives their errors this room's type.
@inline(__always)
func storing<Value>(_ body: () throws(StoreError) -> Value) throws(SeriesError) -> Value {
  do throws(StoreError) { return try body() } catch { throw .store(error) }
}

/// Runs calls of the chunk codec and gives their errors this room's type.
@inline(__always)
func decoding<Value>(_ body: () throws(ChunkError) -> Value) throws(SeriesError) -> Value {
  do throws(ChunkError) { return try body() } catch { throw .chunk(error) }
}
