import ChunkCoding
import KeyValueStore

/// The start states a store keeps beside the built-in ones: family `states`, by number (big-endian).
///
/// A set is never changed and never removed: chunks name it, and without it they cannot be read.
package struct StatesShelf: Sendable {
  package static let familyName = "states"
  /// Numbers below are the program's own.
  package static let ownNumberMin: UInt32 = 1000

  /// The sets every program has, which no store need keep.
  package static let own: [StartStates] = [.untrained, .builtIn]

  private let store: Store
  private let family: Family

  /// - Parameter store: open, with the family.
  package init(_ store: Store) throws(SeriesError) {
    self.store = store
    family = try storing { () throws(StoreError) in try store.family(StatesShelf.familyName) }
  }

  /// The sets this store keeps, by number.
  ///
  /// - Throws: `.chunk` when one is damaged: chunks that name it cannot be read until it is restored.
  package func installed() throws(SeriesError) -> [StartStates] {
    try sets { (error) throws(SeriesError) in throw error }
  }

  /// The sets that can be read: a damaged one concerns only the chunks that name it, which say so when they are read.
  ///
  /// - Parameter known: sets read before, which are not read again; those read now join them.
  func readable(_ known: KnownStates) throws(SeriesError) -> [StartStates] { try sets(known) { _ in } }

  private func sets(
    _ known: KnownStates? = nil, _ damaged: (SeriesError) throws(SeriesError) -> Void
  ) throws(SeriesError) -> [StartStates] {
    let iterator = try storing { () throws(StoreError) in try store.iterator(family) }
    defer { iterator.close() }
    var sets: [StartStates] = []
    var isAt = try storing { () throws(StoreError) in try iterator.seekToFirst() }
    while isAt {
      do throws(SeriesError) {
        let number = try StatesShelf.number(iterator.key)
        if let states = known?[number] {
          sets.append(states)
        } else {
          let states = try read(number, iterator)
          known?.add(states)
          sets.append(states)
        }
      } catch {
        try damaged(error)
      }
      isAt = try storing { () throws(StoreError) in try iterator.next() }
    }
    return sets
  }

  private func read(_ number: UInt32, _ iterator: StoreIterator) throws(SeriesError) -> StartStates {
    let bytes = [UInt8](try storing { () throws(StoreError) in try iterator.value })
    let states = try decoding { () throws(ChunkError) in try StartStates(bytes: bytes) }
    guard states.id == number else { throw .foreignKey }
    return states
  }

  /// Every set that chunks of this store may name, by number.
  package func all() throws(SeriesError) -> [StartStates] { StatesShelf.own + (try installed()) }

  /// The set that new chunks start from: the one with the highest number.
  package func inUse() throws(SeriesError) -> StartStates { try installed().last ?? .builtIn }

  /// What became of a set.
  package enum Outcome: Sendable {
    case added
    /// The very same set is there already.
    case isThere
    /// Another set has its number, and keeps it.
    case numberIsTaken
  }

  /// Puts a set into a batch, unless its number is taken.
  package func put(_ states: StartStates, in batch: WriteBatch) throws(SeriesError) -> Outcome {
    let key = StatesShelf.key(states.id)
    if let kept = try storing({ () throws(StoreError) in try store.get(family, key: key) }) {
      return kept == states.bytes ? .isThere : .numberIsTaken
    }
    batch.put(family, key: key, value: states.bytes)
    return .added
  }

  private static func key(_ number: UInt32) -> [UInt8] {
    var key = KeyBuilder(capacity: 4)
    key.append(number)
    return key.bytes
  }

  private static func number(_ key: UnsafeRawBufferPointer) throws(SeriesError) -> UInt32 {
    var reader = KeyReader(key)
    do throws(KeyError) {
      let number = try reader.uint32()
      if reader.isAtEnd { return number }
    } catch {
      throw .foreignKey
    }
    throw .foreignKey
  }
}
