enum StoreReplay {
  static func isStore(_ path: String) -> Bool { false }
  static func run(_ arguments: Arguments) throws(CommandFailure) -> Int32 { 0 }
}
