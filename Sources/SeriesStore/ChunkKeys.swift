/// Room `SeriesStore`: samples of each patient and device, gathered in memory, sealed into chunks, found and read back. It
/// never judges a value, never trims or reads the journal (its caller feeds it from there), never asks what time it is, and
/// never changes a number. Its one thread decodes chunks ahead of a long scan, and ends with it.
import ChunkCoding
import KeyValueStore

/// Why the series store could not do as asked.
package enum SeriesError: Error, Equatable, Sendable {
  /// The key-value store refused; nothing was lost from memory, so the call may be made again.
  case store(StoreError)
  /// A stored chunk or position cannot be read.
  case chunk(ChunkError)
  /// A stored rollup or mark cannot be read; the text names the field and holds no value.
  case damaged(String)
  /// A key in one of our families has not our form.
  case foreignKey
}

extension SeriesError {
  /// What reading one chunk ended with.
  init(reading error: StoreError) {
    switch error {
    case .corruption, .sealed: self = .chunk(.corrupt(error.description))
    default: self = .store(error)
    }
  }

  /// Whether stored bytes are at fault, rather than the store.
  var isDamage: Bool {
    switch self {
    case .chunk, .damaged, .foreignKey: true
    case .store: false
    }
  }

  /// Whether another log may be sealed all the same: rows that cannot be packed, a value that the guard does not seal.
  var isOfOneLog: Bool {
    switch self {
    case .chunk, .damaged, .foreignKey, .store(.sealed): true
    case .store: false
    }
  }
}

extension SeriesError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .store(let error): "\(error)"
    case .chunk(let error): "\(error)"
    case .damaged(let field): "the series store is damaged: \(field)"
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

/// One UTC day of a group.
package struct GroupDay: Hashable, Comparable, Sendable {
  package var group: SeriesGroup
  /// Days since 1970-01-01, UTC.
  package var day: Int64

  /// Length of a day, ms.
  package static let length: Int64 = 86_400_000

  package init(group: SeriesGroup, day: Int64) {
    self.group = group
    self.day = day
  }

  /// The day an event time lies in.
  package init(group: SeriesGroup, time: Int64) {
    self.group = group
    day = time.flooredQuotient(by: GroupDay.length)
  }

  /// First event time of the day, ms.
  package var start: Int64 {
    let (start, overflow) = day.multipliedReportingOverflow(by: GroupDay.length)
    return overflow ? (day < 0 ? .min : .max) : start
  }
  /// First event time after the day, ms.
  package var end: Int64 { start.addingClamped(GroupDay.length) }

  /// The days a chunk lies in: two at most, as it spans no more than 6 h.
  static func days(_ group: SeriesGroup, first: Int64, last: Int64) -> [GroupDay] {
    let (begin, end) = (GroupDay(group: group, time: first), GroupDay(group: group, time: last))
    return begin == end ? [begin] : [begin, end]
  }

  package static func < (left: GroupDay, right: GroupDay) -> Bool {
    (left.group, left.day) < (right.group, right.day)
  }
}

/// Names, layouts and keys of what this room stores: `docs/formats/chunk.md`, `docs/formats/rollups.md`.
package enum SeriesFamilies {
  /// Sealed chunks. Already packed, so RocksDB does not pack them again; look-ups stay within patient and device.
  package static let chunks = FamilySpec(
    "chunks", compression: .none, writeBufferBytes: 16 << 20, bloomBitsPerKey: 10, prefixBytes: 8)
  /// Rollups by group and day, packed by a coding of their own.
  package static let rollups = FamilySpec(
    "rollups", compression: .none, writeBufferBytes: 4 << 20, bloomBitsPerKey: 10)
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

  init(copy bytes: [UInt8]) throws(SeriesError) {
    let result: Result<ChunkKey, SeriesError> = bytes.withUnsafeBytes { raw in
      Result { () throws(SeriesError) in try ChunkKey(raw) }
    }
    self = try result.get()
  }

  /// The front that all chunks of a group share.
  static func prefix(_ group: SeriesGroup) -> [UInt8] {
    var builder = KeyBuilder(capacity: 8)
    builder.append(group.patient)
    builder.append(group.device)
    return builder.bytes
  }
}

/// Key of a day's rollups: patient, device, day.
enum RollupKey {
  static func bytes(_ day: GroupDay) -> [UInt8] { ChunkKey.prefix(day.group) + DayKey.suffix(day.day) }

  static func day(_ key: UnsafeRawBufferPointer) throws(SeriesError) -> GroupDay { try DayKey.read(key) }
}

/// The end of keys that name a group and a day.
enum DayKey {
  static func suffix(_ day: Int64) -> [UInt8] {
    var builder = KeyBuilder(capacity: 8)
    builder.append(day)
    return builder.bytes
  }

  /// Reads patient, device and day.
  static func read(_ bytes: UnsafeRawBufferPointer) throws(SeriesError) -> GroupDay {
    var reader = KeyReader(bytes)
    let days = Int64.min / GroupDay.length...Int64.max / GroupDay.length
    do throws(KeyError) {
      let group = SeriesGroup(patient: try reader.uint32(), device: try reader.uint32())
      let day = try reader.int64()
      guard reader.isAtEnd, days.contains(day) else { throw .truncated(needed: 0, left: 0) }
      return GroupDay(group: group, day: day)
    } catch {
      throw .foreignKey
    }
  }
}

/// Keys in the `state` family.
enum StateKey {
  /// `S` `F`: the seal floor.
  static let floor: [UInt8] = [SeriesFamilies.prefix, 0x46]
  /// `S` `G`: what the sealed positions of all groups begin with.
  static let sealedPrefix: [UInt8] = [SeriesFamilies.prefix, 0x47]
  /// `S` `M`: days with chunks to be merged.
  static let mergePrefix: [UInt8] = [SeriesFamilies.prefix, 0x4D]
  /// `S` `R`: days whose rollups are to be made anew.
  static let rollupPrefix: [UInt8] = [SeriesFamilies.prefix, 0x52]
  /// `S` `C`: days that may hold corrected values.
  static let correctionPrefix: [UInt8] = [SeriesFamilies.prefix, 0x43]

  /// `S` `G` patient device: last position sealed for a group.
  static func sealed(_ group: SeriesGroup) -> [UInt8] { sealedPrefix + ChunkKey.prefix(group) }

  /// A mark of a day.
  static func mark(_ prefix: [UInt8], _ day: GroupDay) -> [UInt8] { prefix + RollupKey.bytes(day) }

  /// The day of a mark's key.
  static func day(_ key: UnsafeRawBufferPointer) throws(SeriesError) -> GroupDay {
    guard key.count > 2 else { throw .foreignKey }
    return try DayKey.read(UnsafeRawBufferPointer(rebasing: key[2...]))
  }

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

/// The families of an open store.
struct OpenFamilies: Sendable {
  let chunks: Family
  let state: Family
  let rollups: Family

  init(_ store: Store) throws(SeriesError) {
    chunks = try storing { () throws(StoreError) in try store.family(SeriesFamilies.chunks.name) }
    state = try storing { () throws(StoreError) in try store.family(SeriesFamilies.stateName) }
    rollups = try storing { () throws(StoreError) in try store.family(SeriesFamilies.rollups.name) }
  }
}

/// Runs calls of the key-value store and gives their errors this room's type.
@inline(__always)
func storing<Value>(_ body: () throws(StoreError) -> Value) throws(SeriesError) -> Value {
  do throws(StoreError) { return try body() } catch { throw .store(error) }
}

/// Runs calls of the key-value store that read chunks or rollups: bytes that are not what was written, or that the guard
/// cannot open, are damage of what was to be read and no failure of the store.
@inline(__always)
func reading<Value>(_ body: () throws(StoreError) -> Value) throws(SeriesError) -> Value {
  do throws(StoreError) { return try body() } catch { throw SeriesError(reading: error) }
}

/// Runs calls of the chunk codec and gives their errors this room's type.
@inline(__always)
func decoding<Value>(_ body: () throws(ChunkError) -> Value) throws(SeriesError) -> Value {
  do throws(ChunkError) { return try body() } catch { throw .chunk(error) }
}

extension Int64 {
  /// The difference, or the least number where it does not fit. `other` is not negative.
  func subtractingClamped(_ other: Int64) -> Int64 {
    let (difference, overflow) = subtractingReportingOverflow(other)
    return overflow ? .min : difference
  }

  /// The sum, or the nearest number where it does not fit.
  func addingClamped(_ other: Int64) -> Int64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? (other < 0 ? .min : .max) : sum
  }

  /// Division that rounds down. `divisor` is positive.
  func flooredQuotient(by divisor: Int64) -> Int64 {
    let (quotient, rest) = quotientAndRemainder(dividingBy: divisor)
    return rest < 0 ? quotient - 1 : quotient
  }
}
