package asg

// ReadMoving is what the Cache does at every motion interval while it runs.
var ReadMoving = (*Cache).readMoving
