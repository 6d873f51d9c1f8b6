import Glibc

/// Sleeping on a plain thread.
enum Pause {
  static func milliseconds(_ count: Int) { usleep(UInt32(clamping: count * 1000)) }
}

/// A dedicated thread running one closure; joined by its owner.
///
/// The closure is made in library code and is `@Sendable`: one inferred to belong to the main actor would trap here.
final class DedicatedThread: @unchecked Sendable {
  // Unchecked: `id` is written once in init and read in join, both by the owner.
  private var id = pthread_t()
  private var isJoined = false

  private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  /// - Returns: nil if the system has no thread to give.
  init?(_ run: @escaping @Sendable () -> Void) {
    let context = Unmanaged.passRetained(Body(run))
    let code = pthread_create(
      &id, nil,
      { context in
        guard let context else { return nil }
        Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
        return nil
      }, context.toOpaque())
    if code != 0 {
      context.release()
      return nil
    }
  }

  func join() {
    guard !isJoined else { return }
    isJoined = true
    pthread_join(id, nil)
  }
}
