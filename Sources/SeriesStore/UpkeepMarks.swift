import ChunkCoding
import Compression
import KeyValueStore

/// What sealing left to be merged in one day of a group.
struct MergeMark: Hashable, Sendable {
  /// Least and greatest event time of the chunks concerned, ms.
  var from: Int64
  var to: Int64
  /// Small or late chunks since the last merge.
  var chunks: UInt32
  /// Ingest time of the first of them, ms.
  var since: Int64

  private static let version: UInt8 = 1
  private static let byteCount = 33

  var bytes: [UInt8] {
    var writer = ByteWriter(capacity: MergeMark.byteCount)
    writer.append(MergeMark.version)
    writer.append(littleEndian: from)
    writer.append(littleEndian: to)
    writer.append(littleEndian: chunks)
    writer.append(littleEndian: since)
    writer.append(littleEndian: Checksums.crc32c(writer.bytes))
    return writer.bytes
  }

  init(from: Int64, to: Int64, chunks: UInt32, since: Int64) {
    self.from = from
    self.to = to
    self.chunks = chunks
    self.since = since
  }

  init(_ bytes: UnsafeRawBufferPointer) throws(SeriesError) {
    guard bytes.count == MergeMark.byteCount, bytes[0] == MergeMark.version,
      Checksums.crc32c(UnsafeRawBufferPointer(rebasing: bytes[..<29]))
        == UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 29, as: UInt32.self))
    else { throw .damaged("merge mark") }
    from = Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: 1, as: Int64.self))
    to = Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: 9, as: Int64.self))
    chunks = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 17, as: UInt32.self))
    since = Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: 21, as: Int64.self))
    guard from <= to else { throw .damaged("merge mark") }
  }

  /// Both marks as one.
  func joined(_ other: MergeMark) -> MergeMark {
    MergeMark(
      from: min(from, other.from), to: max(to, other.to), chunks: chunks &+ other.chunks,
      since: min(since, other.since))
  }
}

/// Marks as they are on disk, and what is known of each group's newest sealed row.
///
/// Marks are written in the batch of the chunks they speak of, so that no crash leaves one without the other.
struct UpkeepMarks: Sendable {
  var merges: [GroupDay: MergeMark] = [:]
  /// Days whose rollups are missing or old, with the ingest time of the mark.
  var days: [GroupDay: Int64] = [:]
  /// Newest event time in a group's sealed chunks; nil inside: it has none. Absent: not looked up yet.
  var newest: [SeriesGroup: Int64?] = [:]
  /// When marks are due, earliest first; entries of marks that went or changed are left out when they come up. By kind.
  private var queues = UpkeepKind.allCases.map { _ in DueQueue() }
  /// Marks not queued yet.
  private var unqueued: [(kind: UpkeepKind, day: GroupDay)] = []
  /// Days left alone until a time, as they could not be done.
  private var postponed: [DueMark.Name: Int64] = [:]

  mutating func adopt(_ changes: UpkeepMarks) {
    merges.merge(changes.merges) { $1 }
    days.merge(changes.days) { $1 }
    newest.merge(changes.newest) { $1 }
    unqueued += changes.merges.keys.map { (.merge, $0) }
    unqueued += changes.days.keys.map { (.rollUp, $0) }
  }

  /// The mark that has been due longest at `now`; nil when none is. It stays the next until it goes or is postponed.
  /// O(log marks), beside what came since the last call.
  mutating func nextDue(_ kind: UpkeepKind, now: Int64, _ policy: SealPolicy) -> DueMark? {
    for (kind, day) in unqueued {
      if let time = dueTime(kind, day, policy) { queues[kind.rawValue].insert(time, day) }
    }
    unqueued.removeAll(keepingCapacity: true)
    while let first = queues[kind.rawValue].first, first.time <= now {
      let due = DueMark(kind: kind, day: first.day)
      // Exactly as queued, or there is another entry for it, or it is done.
      if dueTime(kind, first.day, policy) == first.time { return due }
      queues[kind.rawValue].removeFirst()
    }
    return nil
  }

  private func dueTime(_ kind: UpkeepKind, _ day: GroupDay, _ policy: SealPolicy) -> Int64? {
    let due =
      switch kind {
      case .merge: merges[day].map { policy.mergeDue($0) }
      case .rollUp: days[day].map { policy.rollupDue(day, since: $0) }
      }
    guard let due else { return nil }
    return max(due, postponed[DueMark.Name(kind: kind, day: day)] ?? .min)
  }

  /// Leaves a mark alone until a time.
  mutating func postpone(_ due: DueMark, to time: Int64) {
    postponed[due.name] = time
    unqueued.append((due.kind, due.day))
  }

  /// Forgets that there was something to do.
  mutating func finish(_ kind: UpkeepKind, _ day: GroupDay) {
    switch kind {
    case .merge: merges[day] = nil
    case .rollUp: days[day] = nil
    }
    postponed[DueMark.Name(kind: kind, day: day)] = nil
  }

  /// Reads the marks of a store. One that cannot be read still says what is to be done of its day: all of it.
  static func read(_ store: Store, _ families: OpenFamilies) throws(SeriesError) -> UpkeepMarks {
    var marks = UpkeepMarks()
    try visit(store, families, StateKey.mergePrefix, stepsOver: true) { (day, value) throws(SeriesError) in
      let mark = value.flatMap { try? MergeMark($0) }
      marks.merges[day] = mark ?? MergeMark(from: day.start, to: day.end, chunks: SealPolicy.mergeChunks, since: .min)
      marks.unqueued.append((.merge, day))
    }
    try visit(store, families, StateKey.rollupPrefix, stepsOver: true) { (day, value) throws(SeriesError) in
      let since = value.flatMap { try? PositionRecord.decode($0) }
      marks.days[day] = since.map { Int64(bitPattern: $0) } ?? .min
      marks.unqueued.append((.rollUp, day))
    }
    return marks
  }

  /// Lends every mark under a prefix, with nil for a value that cannot be read.
  ///
  /// - Parameter stepsOver: whether keys of another form, and stretches that cannot be read, are left out.
  static func visit(
    _ store: Store, _ families: OpenFamilies, _ prefix: [UInt8], snapshot: Snapshot? = nil, stepsOver: Bool = false,
    _ body: (GroupDay, UnsafeRawBufferPointer?) throws(SeriesError) -> Void
  ) throws(SeriesError) {
    let end = keyAfterPrefix(prefix)
    var start: [UInt8]? = prefix
    var place = prefix
    while let from = start {
      start = nil
      let iterator = try storing { () throws(StoreError) in
        try store.iterator(families.state, lower: from, upper: end, snapshot: snapshot)
      }
      defer { iterator.close() }
      do throws(SeriesError) {
        var isAt = try storing { () throws(StoreError) in try iterator.seekToFirst() }
        while isAt {
          place = [UInt8](iterator.key)
          do throws(SeriesError) {
            try body(try StateKey.day(iterator.key), try? iterator.value)
          } catch {
            guard stepsOver, error == .foreignKey else { throw error }
          }
          isAt = try storing { () throws(StoreError) in try iterator.next() }
        }
      } catch {
        guard stepsOver, case .store(.corruption) = error else { throw error }
        start = try storing { () throws(StoreError) in
          try store.keyPastDamage(families.state, behind: place, before: end, snapshot: snapshot)
        }
      }
    }
  }
}
