/// The transitions. Each function does one atomic step of one thread; a nil means that the thread cannot move now.
extension RingMachine {
  enum Fault: Error, Hashable { case overrun, stageOrder, wrongElement }

  /// Every state one step away.
  func successors(_ setting: Setting) throws(Fault) -> [RingMachine] {
    var states: [RingMachine] = []
    for thread in 0..<3 {
      if self[thread].stores > 0 {
        var arrived = self
        let (field, value) = arrived[thread].takeOldestStore()
        try arrived.checkSlotWrite(field)
        arrived[field] = value
        states.append(arrived)
      }
      var moved = self
      if try moved.step(thread, setting) {
        for changed in 0..<3 { moved[changed].forget() }
        states.append(moved)
      }
    }
    return states
  }

  func isFinal() -> Bool {
    (0..<3).allSatisfy { self[$0].step == .finished && self[$0].stores == 0 }
  }

  /// A slot may only be overwritten when both stages have handled what it held.
  private func checkSlotWrite(_ field: Field) throws(Fault) {
    guard field == .slot0 || field == .slot1, self[field] > 0 else { return }
    let held = self[field] - 1
    if self[.handledA] <= held || self[.handledB] <= held { throw .overrun }
  }

  private mutating func step(_ thread: Int, _ setting: Setting) throws(Fault) -> Bool {
    switch self[thread].step {
    case .finished, .asleep: return false
    case .begin, .decide, .write, .store:
      if thread == 0 { stepProducing(setting) } else { try stepConsuming(thread, setting) }
    case .fence, .checkWord, .raise, .wakeAll:
      return stepWaking(thread, word: .wake(thread), then: .begin, fence: .fence, setting)
    case .announce, .recheck, .checkClosed, .checkCursor, .sleep:
      return stepWaiting(thread, setting)
    case .closeStore, .closeFence, .closeCheck, .closeRaise, .closeWake: return stepClosing(setting)
    }
    return true
  }

  /// `Producer.refresh`, `stage`, `publish`, and `waitForRoom` on the slower of the two stages.
  private mutating func stepProducing(_ setting: Setting) {
    let position = producer.position
    switch producer.step {
    case .begin:
      if position == setting.items {
        producer.step = setting.closes ? .closeStore : .finished
        return
      }
      producer.register = load(.sequenceA, by: 0)
      producer.step = .decide
    case .decide:
      let sequenceB = load(.sequenceB, by: 0)
      let slowest = min(producer.register, sequenceB)
      if position < slowest + Self.capacity {
        producer.step = .write
      } else {
        producer.target = sequenceB < producer.register ? 2 : 1
        producer.step = setting.variant == .withoutRecheck ? .sleep : .announce
        if setting.variant == .withoutRecheck { announce(0, setting) }
      }
    case .write:
      producer.store(.slot(position), position + 1)
      producer.step = .store
    default:
      producer.store(.cursor, position + 1)
      producer.position = position + 1
      producer.step = setting.variant == .withoutFence ? .checkWord : .fence
    }
  }

  /// `Consumer.refresh`, reading the element, `release`; a consumer that finds nothing goes to wait.
  private mutating func stepConsuming(_ thread: Int, _ setting: Setting) throws(Fault) {
    let position = self[thread].position
    let barrier = barrier(of: thread, setting)
    switch self[thread].step {
    case .begin:
      if !setting.closes, position == setting.items {
        self[thread].step = .finished
      } else if load(.sequence(barrier), by: thread) > position {
        self[thread].step = .write
      } else {
        self[thread].target = barrier
        self[thread].step = setting.variant == .withoutRecheck ? .sleep : .announce
        if setting.variant == .withoutRecheck { announce(thread, setting) }
      }
    case .write:
      if load(.slot(position), by: thread) != position + 1 { throw .wrongElement }
      if thread == 2, setting.shape == .chain, self[.handledA] <= position { throw .stageOrder }
      self[.handled(thread)] = position + 1
      self[thread].step = .store
    default:
      self[thread].store(.sequence(thread), position + 1)
      self[thread].position = position + 1
      self[thread].step = setting.variant == .withoutFence ? .checkWord : .fence
    }
  }

  private func barrier(of thread: Int, _ setting: Setting) -> Int {
    thread == 2 && setting.shape == .chain && setting.variant != .withoutBarrier ? 1 : 0
  }

  /// `WakeWord.wakeAfterStore` and `wakeAll`. The store before is sequentially consistent,
  /// which on this machine is a wait until the store buffer is empty (the fence step), as for every exchange.
  private mutating func stepWaking(
    _ thread: Int, word: Field, then next: Step, fence: Step, _ setting: Setting
  ) -> Bool {
    switch self[thread].step {
    case .fence:
      guard self[thread].stores == 0 else { return false }
      self[thread].step = .checkWord
    case .checkWord:
      self[thread].register = load(word, by: thread)
      self[thread].step = self[thread].register & 1 == 1 ? .raise : next
    case .raise:
      guard self[thread].stores == 0 else { return false }
      self[thread].step = raise(thread, word, setting) ? .wakeAll : .checkWord
    default:
      wakeSleepers(on: word)
      self[thread].step = next
    }
    return true
  }

  /// The exchange of an odd word for the next even one; false when another waker or waiter came between.
  private mutating func raise(_ thread: Int, _ word: Field, _ setting: Setting) -> Bool {
    guard self[word] == self[thread].register else { return false }
    self[word] = setting.variant == .withoutCount ? 0 : self[word] + 1
    return true
  }

  private mutating func wakeSleepers(on word: Field) {
    for sleeper in 0..<3 where self[sleeper].step == .asleep && Field.wake(self[sleeper].target) == word {
      self[sleeper].step = .begin
    }
  }

  private mutating func announce(_ thread: Int, _ setting: Setting) {
    let word = Field.wake(self[thread].target)
    self[word] |= 1
    self[thread].announced = self[word]
  }

  /// `RingControl.wait` from the announcement on: what holds the thread back, then closing, then the sleep.
  private mutating func stepWaiting(_ thread: Int, _ setting: Setting) -> Bool {
    let target = self[thread].target
    switch self[thread].step {
    case .announce:
      guard self[thread].stores == 0 else { return false }
      announce(thread, setting)
      self[thread].step = .recheck
    case .recheck:
      let needed = thread == 0 ? producer.position + 1 - Self.capacity : self[thread].position + 1
      var moved = load(.sequence(target), by: thread) >= needed
      if thread == 0, setting.variant == .withoutHolderRecheck {
        // Asks whether there is room, not whether the stage that held it back has moved.
        moved = moved && load(.sequence(3 - target), by: thread) >= needed
      }
      if moved {
        self[thread].step = .begin
      } else {
        self[thread].step = thread != 0 && setting.closes ? .checkClosed : .sleep
      }
    case .checkClosed:
      self[thread].step = load(.closed, by: thread) != 0 ? .checkCursor : .sleep
    case .checkCursor:
      self[thread].step = load(.cursor, by: thread) <= self[thread].position ? .finished : .sleep
    default:
      // The kernel's compare and the falling asleep are one step; a system call also drains the store buffer.
      guard self[thread].stores == 0 else { return false }
      self[thread].step = self[.wake(target)] == self[thread].announced ? .asleep : .begin
    }
    return true
  }

  /// `RingControl.close`: the flag, then each wake word in turn.
  private mutating func stepClosing(_ setting: Setting) -> Bool {
    switch producer.step {
    case .closeStore:
      producer.store(.closed, 1)
      producer.target = 0
      producer.step = setting.variant == .withoutFence ? .closeCheck : .closeFence
    case .closeFence:
      guard producer.stores == 0 else { return false }
      producer.step = .closeCheck
    case .closeCheck:
      producer.register = load(.wake(producer.target), by: 0)
      producer.step = producer.register & 1 == 1 ? .closeRaise : nextToClose()
    case .closeRaise:
      guard producer.stores == 0 else { return false }
      producer.step = raise(0, .wake(producer.target), setting) ? .closeWake : .closeCheck
    default:
      wakeSleepers(on: .wake(producer.target))
      producer.step = nextToClose()
    }
    return true
  }

  private mutating func nextToClose() -> Step {
    guard producer.target < 2 else { return .finished }
    producer.target += 1
    return .closeCheck
  }
}
