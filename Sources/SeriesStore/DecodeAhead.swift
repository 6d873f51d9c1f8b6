import ChunkCoding
import Glibc
import KeyValueStore

/// A second thread that decodes the chunks a long scan will ask for next, in the scan's order, a few at a time.
final class DecodeAhead: @unchecked Sendable {
  // Unchecked: `entries`, `isStopped` and `isEnded` are read and written under `mutex` alone; `thread` belongs to the scan.

  /// Decoded chunks that wait at most: bounds memory.
  static let entriesMax = 16

  enum Entry {
    /// A chunk of the n-th request, with its first event time.
    case chunk(request: Int, time: Int64, rows: ChunkRows)
    case failed(request: Int, SeriesError)
  }

  private let range: ChunkRange
  private let requests: [FeedRequest]
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let changed: UnsafeMutablePointer<pthread_cond_t>
  private var entries: [Entry] = []
  private var isStopped = false
  private var isEnded = false
  private var thread: pthread_t?

  /// Starts at once.
  ///
  /// - Parameter requests: one a group, in the scan's order.
  /// - Returns: nil on a machine of one processor, where it would only cost, and when the system has no thread to give.
  static func start(_ range: ChunkRange, _ requests: [FeedRequest]) -> DecodeAhead? {
    guard sysconf(Int32(_SC_NPROCESSORS_ONLN)) > 1 else { return nil }
    let ahead = DecodeAhead(range, requests)
    var thread = pthread_t()
    let context = Unmanaged.passRetained(ahead)
    let code = pthread_create(
      &thread, nil,
      { context in
        guard let context else { return nil }
        Unmanaged<DecodeAhead>.fromOpaque(context).takeRetainedValue().run()
        return nil
      }, context.toOpaque())
    guard code == 0 else {
      context.release()
      return nil
    }
    ahead.thread = thread
    return ahead
  }

  private init(_ range: ChunkRange, _ requests: [FeedRequest]) {
    self.range = range
    self.requests = requests
    mutex = .allocate(capacity: 1)
    changed = .allocate(capacity: 1)
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(changed, nil)
  }

  deinit {
    pthread_cond_destroy(changed)
    pthread_mutex_destroy(mutex)
    changed.deallocate()
    mutex.deallocate()
  }

  // MARK: The scan's thread

  /// The entry that comes next, which stays; waits for it. Nil after the last.
  func first() -> Entry? {
    locked {
      while entries.isEmpty, !isEnded { pthread_cond_wait(changed, mutex) }
      return entries.first
    }
  }

  /// Takes away the entry that came next.
  func removeFirst() {
    locked {
      if !entries.isEmpty { entries.removeFirst() }
      pthread_cond_broadcast(changed)
    }
  }

  /// Ends the thread and waits for it: at most one chunk long.
  func stop() {
    locked {
      isStopped = true
      pthread_cond_broadcast(changed)
    }
    if let thread { pthread_join(thread, nil) }
    thread = nil
  }

  // MARK: Its own thread

  private func run() {
    var decoder: ChunkDecoder?
    for (index, request) in requests.enumerated() {
      do throws(SeriesError) {
        if decoder == nil { decoder = try range.codec.makeDecoder() }
        let feed = try DirectFeed(range, request, decoder: decoder)
        defer { feed.close() }
        while let time = try feed.nextTime() {
          guard let rows = try feed.take() else { break }
          guard put(.chunk(request: index, time: time, rows: rows)) else { return }
        }
      } catch {
        guard put(.failed(request: index, error)) else { return }
      }
    }
    locked {
      isEnded = true
      pthread_cond_broadcast(changed)
    }
  }

  /// - Returns: false when the scan wants no more.
  private func put(_ entry: Entry) -> Bool {
    locked {
      while entries.count >= DecodeAhead.entriesMax, !isStopped { pthread_cond_wait(changed, mutex) }
      if isStopped { return false }
      entries.append(entry)
      pthread_cond_broadcast(changed)
      return true
    }
  }

  private func locked<Value>(_ body: () -> Value) -> Value {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return body()
  }
}

/// One request's part of what is decoded ahead.
final class AheadFeed: ChunkFeed {
  private let ahead: DecodeAhead
  private let request: Int

  init(_ ahead: DecodeAhead, request: Int) {
    self.ahead = ahead
    self.request = request
  }

  func nextTime() throws(SeriesError) -> Int64? {
    while let entry = ahead.first() {
      switch entry {
      case .chunk(let owner, let time, _):
        if owner == request { return time }
        if owner > request { return nil }
      case .failed(let owner, let error):
        if owner == request { throw error }
        if owner > request { return nil }
      }
      // Of a group the scan left before its end.
      ahead.removeFirst()
    }
    return nil
  }

  func take() throws(SeriesError) -> ChunkRows? {
    guard try nextTime() != nil, case .chunk(_, _, let rows)? = ahead.first() else { return nil }
    ahead.removeFirst()
    return rows
  }

  func close() {}
}
