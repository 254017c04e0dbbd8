// Runs before every test file; what it imports runs once in a thread.
import './buffer-equality.ts'
